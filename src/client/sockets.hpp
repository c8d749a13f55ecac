#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The listening sockets of this machine, as /proc/net tells everybody.
namespace liveswap::client {

// A Unix socket at "<directory>/<port>.sock" that somebody listens on: the control socket of a master, or of
// something that calls its own socket so.
struct ControlSocket {
  std::string directory;
  std::uint16_t port = 0;
  std::string path() const { return directory + "/" + std::to_string(port) + ".sock"; }
  bool operator==(const ControlSocket&) const = default;
};

// Those of this network namespace, in the order of their paths, each once; none where there is no /proc.
std::vector<ControlSocket> control_sockets();
// The text of /proc/net/unix. Pure.
std::vector<ControlSocket> parse_control_sockets(std::string_view table);

// Whether it may be one of ours, as far as can be seen from outside: the lock of a control socket lies beside
// it, or, where this user may not look, the directory is called as ours is; and it is no socket of --listen.
// ask() tells what it is.
bool is_liveswap(const ControlSocket& socket);

// The user whose process listens on that TCP port, on any address.
std::optional<uid_t> owner_of_port(std::uint16_t port);
// The text of /proc/net/tcp or tcp6. Pure.
std::optional<uid_t> parse_owner(std::string_view table, std::uint16_t port);

// "root"; "user 1007" when the user has no name.
std::string user_name(uid_t user);

}  // namespace liveswap::client
