#pragma once

#include <cstdint>
#include <vector>

namespace liveswap::verify {

// One side of a TCP connection of this machine.
struct ServerSide {
  std::uint64_t inode = 0;   // of its socket; 0: nobody has accepted it
  std::uint16_t client = 0;  // the port of the other side
};

// The connections to a port. The kernel is asked by sock_diag, where it can be: to read through /proc/net/tcp
// takes half a second on a machine with many connections that have just ended.
std::vector<ServerSide> connections_to(std::uint16_t port);

// The two ways; connections_by_diag() is false when there is no such way.
bool connections_by_diag(std::uint16_t port, std::vector<ServerSide>& found);
std::vector<ServerSide> connections_by_proc(std::uint16_t port);

}  // namespace liveswap::verify
