#pragma once

#include "base/unique_fd.hpp"
#include "load/target.hpp"

namespace liveswap::load {

// A connection attempt: `fd` when it has been made or is under way, else the errno value in `error`.
struct Dialed {
  UniqueFd fd;
  bool connected = false;
  int error = 0;
};

// Opens non-blocking connections to the target.
class Dialer {
 public:
  // Loopback targets are reached from 127.0.0.2 ... in turns, `sources` of them: a source address has some
  // 28,000 ports, each of which is taken for a while after its connection was closed (TIME_WAIT).
  Dialer(const Target& target, unsigned sources);

  Dialed dial();

 private:
  bool bind_source(int fd);

  const Target& target_;
  unsigned sources_;
  unsigned turn_ = 0;
};

// The local port of a TCP socket, 0 for any other.
std::uint16_t local_port(int fd);

// Both ends of the connection are the same socket. TCP makes such a connection when nobody listens on a port
// of the ephemeral range and that very port is chosen as the source: an echo server that is gone seems to
// answer.
bool is_connected_to_itself(int fd);

}  // namespace liveswap::load
