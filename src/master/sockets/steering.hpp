#pragma once

#include <vector>

namespace liveswap::master {

enum class Deal {
  at_random,  // for connections
  by_peer,    // for datagrams: one sender always to the same socket
};

// Makes the kernel distribute new connections of `fd`'s SO_REUSEPORT group evenly among the sockets with
// these numbers; an empty list restores the kernel's choice. At most 1024 numbers. False: the kernel
// refuses.
bool steer_group(int fd, const std::vector<unsigned>& numbers, Deal deal = Deal::at_random);

}  // namespace liveswap::master
