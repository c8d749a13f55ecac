#pragma once

#include <cstdint>
#include <vector>

namespace liveswap::verify {

// The server side of a local TCP connection.
struct ServerSide {
  std::uint64_t inode = 0;   // of the socket; 0: not accepted
  std::uint16_t client = 0;  // port of the client
};

// The connections to a port. Uses sock_diag if available: /proc/net/tcp takes half a second on a machine with
// many TIME_WAIT connections.
std::vector<ServerSide> connections_to(std::uint16_t port);

// The two implementations; connections_by_diag() returns false if not available.
bool connections_by_diag(std::uint16_t port, std::vector<ServerSide>& found);
std::vector<ServerSide> connections_by_proc(std::uint16_t port);

}  // namespace liveswap::verify
