#pragma once

#include <vector>

namespace liveswap::master {

enum class Deal {
  at_random,  // for connections: each is dealt once
  by_peer,    // for datagrams: those of one sender to one socket
};

// Makes the kernel deal the new connections of a SO_REUSEPORT group, of which `fd` is a member, to the
// sockets with these numbers, each as often; an empty list gives the choice back to the kernel. At most 1024
// numbers. False when the kernel will not.
bool steer_group(int fd, const std::vector<unsigned>& numbers, Deal deal = Deal::at_random);

}  // namespace liveswap::master
