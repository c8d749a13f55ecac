#pragma once

#include <sys/types.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

// Information about processes from /proc.
namespace scenario::proc {

// Whether the process runs. A zombie does not run.
bool runs(pid_t pid);

// Direct children, and all descendants. Zombies count.
std::vector<pid_t> children(pid_t pid);
// Whether one of them runs; one that has exited and waits to be reaped does not.
bool has_running_child(pid_t pid);
std::vector<pid_t> descendants(pid_t pid);

// A number of /proc/PID/status, such as "VmRSS" (KiB) or "voluntary_ctxt_switches"; -1: none.
long status_number(pid_t pid, const std::string& name);

// Descriptors and the targets of their links: "socket:[123]", "pipe:[4]", "/dev/null".
std::map<int, std::string> descriptors(pid_t pid);

// The environment, as "NAME=value".
std::vector<std::string> environment(pid_t pid);

std::vector<std::string> arguments(pid_t pid);

std::string working_directory(pid_t pid);

std::size_t threads(pid_t pid);

}  // namespace scenario::proc

namespace scenario {

inline bool all_run(const std::vector<pid_t>& pids) {
  return std::all_of(pids.begin(), pids.end(), proc::runs);
}
inline bool all_gone(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), proc::runs);
}

}  // namespace scenario
