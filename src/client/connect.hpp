#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/unique_fd.hpp"
#include "client/deadline.hpp"

namespace liveswap::client {

// What came of an attempt to connect.
enum class Reached {
  connected,
  nobody,     // nothing there, or nobody who listens
  forbidden,  // this user may not, or must not trust who listens
  late,       // the deadline passed
  failed,
};

struct Attempt {
  Reached reached = Reached::failed;
  UniqueFd fd;       // when connected: non-blocking
  std::string text;  // when not: why, as a clause ("127.0.0.1:3000 refuses connections")
  uid_t user = 0;    // when connected by a Unix socket: whose process listens there, and which it is
  pid_t process = 0;
};

// The listener must belong to this user or root: whoever can make a file at `path` is not thereby a master.
Attempt connect_unix(const std::string& path, const Deadline& deadline);

// `address` is a number or a name; looking a name up does not heed the deadline.
Attempt connect_tcp(const std::string& address, std::uint16_t port, const Deadline& deadline);

// True for an address that can only mean this machine: loopback, or "every address".
bool means_this_machine(const std::string& address);

// "127.0.0.1:3000", "[::1]:3000".
std::string endpoint(const std::string& address, std::uint16_t port);

}  // namespace liveswap::client
