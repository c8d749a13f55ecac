#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace liveswap::checks {

// A process left behind by a child.
struct LeftProcess {
  pid_t pid = 0;
  std::string name;
  bool in_group = false;  // false: in a group or session of its own
  bool ended = false;     // has been killed
};

// Processes in the process group `group`, or that have the pipe `pipe` ("pipe:[4711]", as in /proc) open;
// without this process and `leader`.
std::vector<LeftProcess> find_left(pid_t group, pid_t leader, const std::string& pipe);

}  // namespace liveswap::checks
