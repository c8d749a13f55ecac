#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "client/sockets.hpp"

namespace liveswap::client {

// A running master that this user may control.
struct RunningInstance {
  ControlSocket socket;
  uid_t user = 0;
  pid_t process = 0;
  std::string status;  // the status object as text (docs/reference/control-protocol.md); empty: none in time
};

struct Instances {
  std::vector<RunningInstance> seen;  // by port
  std::size_t hidden = 0;             // number of masters of other users
};

// All masters with a socket in /proc/net/unix or in a default directory. `limit` applies to the whole call
// (query_sockets()). Blocks.
Instances running_instances(std::chrono::milliseconds limit);

}  // namespace liveswap::client
