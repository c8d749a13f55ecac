#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"

namespace liveswap::master {

// Cgroups of workers (cgroups(7), version 2). Where the master may make cgroups, each worker starts in one of
// its own, so that the kernel knows all processes that come from the worker, also daemons.
//
//   <the master's cgroup>/liveswap-<pid of the master>-<number>/
//
// No controller is enabled, so the master may stay in its own cgroup. All functions take some microseconds,
// and none but Frozen waits. An empty path is no cgroup: nothing is done, and nothing is found.
class Cgroups {
 public:
  // Makes none.
  Cgroups() = default;
  // Makes them below the cgroup of this process, if that is possible and permitted (is_delegated()). Removes
  // the empty ones of masters that have died.
  static Cgroups of_this_process();
  Cgroups(Cgroups&& other) noexcept;
  Cgroups& operator=(Cgroups&&) = delete;
  // Removes the empty ones.
  ~Cgroups();

  // The directory of the master's cgroup; empty: there are no cgroups for workers.
  const std::string& directory() const { return directory_; }
  // The directory of a new cgroup; empty: not possible.
  std::string make();
  // The cgroup of a worker that this process has started, also before it replaced its program, or that a
  // killed master has started: then it is `kept`, as that has said. Empty: none.
  std::string of(pid_t worker, const std::string& kept) const;
  // Removes a cgroup as soon as it is empty: now, or at one of the next calls.
  void remove(const std::string& cgroup);

 private:
  explicit Cgroups(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  unsigned made_ = 0;
  std::vector<std::string> full_;  // to be removed when they are empty
};

// Whether a process of the cgroup lives; zombies do not count.
bool is_populated(const std::string& cgroup);
// The living processes, also those in cgroups below. At most 64 cgroups are read.
std::vector<pid_t> members_of(const std::string& cgroup);
// Kills all of them at once with SIGKILL, so that none can fork meanwhile. False: not possible.
bool kill_all(const std::string& cgroup);
// While it exists, no process of these cgroups runs, so that none can fork or exit, and none answers its
// clients. The constructor waits for that, at most 20 ms; then some may still run.
class Frozen {
 public:
  explicit Frozen(const std::vector<std::string>& cgroups);
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  ~Frozen();

  bool any() const { return !switches_.empty(); }

 private:
  Frozen() = default;

  std::vector<UniqueFd> switches_;  // open, so that the end needs neither a descriptor nor memory
};
// Lets processes run again that a killed master has left frozen.
void thaw(const std::string& cgroup);
// Whether a worker of this master, running or ended, has started the process.
bool is_in_cgroup_of_worker(pid_t pid);

// The directory of a process' cgroup. `mounts`: the text of /proc/self/mountinfo; `memberships`: of
// /proc/<pid>/cgroup. nullopt: version 2 is not mounted, or the mounts do not show that cgroup. Pure.
std::optional<std::string> cgroup_directory(std::string_view mounts, std::string_view memberships);

// Whether liveswap may make cgroups there: the service manager has delegated the directory (Delegate= of a
// unit of systemd), or no systemd runs, whose rule that is.
bool is_delegated(const std::string& directory);

}  // namespace liveswap::master
