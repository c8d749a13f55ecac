#pragma once

#include "base/unique_fd.hpp"
#include "load/target.hpp"

namespace liveswap::load {

// A connection attempt: `fd` if connected or in progress, otherwise errno in `error`.
struct Dialed {
  UniqueFd fd;
  bool connected = false;
  int error = 0;
};

// Opens non-blocking connections to the target.
class Dialer {
 public:
  // `sources`: number of source addresses from 127.0.0.2 on, for loopback targets. A source address has about
  // 28,000 ports, and each is blocked for a while after use (TIME_WAIT).
  Dialer(const Target& target, unsigned sources);

  Dialed dial();

 private:
  bool bind_source(int fd);

  const Target& target_;
  unsigned sources_;
  unsigned turn_ = 0;
};

// The local port of a TCP socket; 0 for others.
std::uint16_t local_port(int fd);

// Whether both ends are the same socket. TCP connects a socket to itself if no process listens on an
// ephemeral port and the kernel chooses that port as the source. A dead echo server then seems to answer.
bool is_connected_to_itself(int fd);

}  // namespace liveswap::load
