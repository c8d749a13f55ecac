#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Listening sockets of this network namespace, from /proc/net.
namespace liveswap::client {

// A listening Unix socket at "<directory>/<port>.sock": of a master, or of another program that uses such a
// name.
struct ControlSocket {
  std::string directory;
  std::uint16_t port = 0;
  std::string path() const { return directory + "/" + std::to_string(port) + ".sock"; }
  bool operator==(const ControlSocket&) const = default;
};

// Sorted by port, then by directory, without duplicates; empty without /proc.
std::vector<ControlSocket> control_sockets();
// Parses /proc/net/unix. Pure.
std::vector<ControlSocket> parse_control_sockets(std::string_view table);

// Whether a socket may belong to a master: it has a lock file beside it and is no --listen socket. If the
// directory is not accessible, its name must begin with "liveswap". Only query_sockets() can tell for
// certain.
bool is_liveswap(const ControlSocket& socket);

// The user of the process that listens on that TCP port, on any address.
std::optional<uid_t> owner_of_port(std::uint16_t port);
// Parses /proc/net/tcp or tcp6. Pure.
std::optional<uid_t> parse_owner(std::string_view table, std::uint16_t port);

// "root"; "user 1007" for a user without a name.
std::string user_name(uid_t user);

}  // namespace liveswap::client
