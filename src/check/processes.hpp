#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace liveswap::preflight {

// A process that a child has started and left behind.
struct LeftProcess {
  pid_t pid = 0;
  std::string name;
  bool in_group = false;  // else it has made itself a group or session of its own
  bool ended = false;     // it has been killed
};

// Those in the process group `group`, and those outside it that have the pipe `pipe` ("pipe:[4711]", as /proc
// shows it) open; this process and `leader` not among them.
std::vector<LeftProcess> find_left(pid_t group, pid_t leader, const std::string& pipe);

}  // namespace liveswap::preflight
