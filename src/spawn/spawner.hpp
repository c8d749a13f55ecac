#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::spawn {

// The user that a child runs as; numbers, so nothing has to be looked up later.
struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

struct Request {
  std::string program;
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::vector<std::string> environment;
  std::vector<int> descriptors;   // borrowed; n-th → descriptor n; -1: /dev/null for 0 … 2, else closed
  std::string working_directory;  // empty: `home`
  // Used without a working directory: the caller's start directory by name, so that a symbolic link in it
  // is followed anew. If the child cannot enter it, or it is empty, the child keeps the caller's directory.
  std::string home;
  std::optional<Identity> identity;
  std::vector<std::pair<int, rlimit>> limits;
  // The directory of a cgroup (version 2) in which the child starts; empty, or not possible: the caller's.
  std::string cgroup = {};
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;                     // readable once the child has ended; reap with waitid(P_PIDFD)
  std::shared_ptr<const void> claim;  // while held, is_claimed(pid): its owner reaps the child
};

// A child that the former image of this program has started.
Child adopt(pid_t pid, UniqueFd pidfd);

// Whether spawn() started this child and its Child still exists. Any thread.
bool is_claimed(pid_t pid);

// Starts a program with exactly these descriptors, default signal dispositions, an empty signal mask and a
// process group of its own. An error names the step that failed. Blocks until the exec.
//
// Until then the child shares this process' memory (CLONE_VM and CLONE_VFORK, as in posix_spawn): the cost
// does not grow with the embedding program, and no stdio buffer is flushed twice. posix_spawn cannot set
// users or limits, nor close all other descriptors.
Result<Child> spawn(const Request& request);

}  // namespace liveswap::spawn
