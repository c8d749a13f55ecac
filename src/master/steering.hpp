#pragma once

#include <vector>

namespace liveswap::master {

// Makes the kernel deal the new connections of a SO_REUSEPORT group, of which `fd` is a member, to the
// sockets with these numbers, each as often; an empty list gives the choice back to the kernel. At most 1024
// numbers. False when the kernel will not.
bool steer_group(int fd, const std::vector<unsigned>& numbers);

}  // namespace liveswap::master
