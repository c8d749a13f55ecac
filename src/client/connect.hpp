#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"
#include "client/deadline.hpp"

namespace liveswap::client {

// The result of a connection attempt.
enum class ConnectResult {
  connected,
  no_listener,  // no socket, or no process listens
  forbidden,    // no permission, or an untrusted listener
  timed_out,    // the deadline passed
  failed,
};

struct Attempt {
  ConnectResult result = ConnectResult::failed;
  UniqueFd fd;       // if connected; non-blocking
  std::string text;  // if not: the reason, as a clause ("127.0.0.1:3000 refuses connections")
  uid_t user = 0;    // peer credentials, for a Unix socket
  pid_t process = 0;
};

// Another user may have created the socket at `path`. So the listening process must belong to this user or
// root; only root connects to processes of all users.
Attempt connect_unix(const std::string& path, const Deadline& deadline);

// `address`: a host name or IP address. Name resolution ignores the deadline.
Attempt connect_tcp(const std::string& address, std::uint16_t port, const Deadline& deadline);

// Whether `address` is loopback or a wildcard.
bool means_this_machine(const std::string& address);

// "127.0.0.1:3000", "[::1]:3000".
std::string host_and_port(const std::string& address, std::uint16_t port);

}  // namespace liveswap::client
