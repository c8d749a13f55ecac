#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "client/sockets.hpp"

namespace liveswap::client {

// A master of this machine that this user may control.
struct RunningInstance {
  ControlSocket socket;
  uid_t user = 0;
  pid_t process = 0;
  std::string status;  // the status object (docs/reference/control-protocol.md) as text; empty: none in time
};

struct Instances {
  std::vector<RunningInstance> seen;  // by port
  std::size_t hidden = 0;             // those that are other users' business
};

// All of them: what /proc/net tells, and the sockets in the usual directories, but for those that answer
// otherwise than a master. `limit` is for all of them together (ask()). Blocks.
Instances running_instances(std::chrono::milliseconds limit);

}  // namespace liveswap::client
