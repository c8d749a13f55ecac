#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::master {

// What a child is started with.
struct Identity {  // a user that a child becomes; by numbers, looked up once
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

struct SpawnRequest {
  std::string program;
  std::vector<std::string> arguments;  // argv, with argv[0]
  std::vector<std::string> environment;
  std::vector<int>
      descriptors;  // borrowed; the n-th becomes descriptor n. -1: /dev/null for 0 … 2, else closed
  std::string working_directory;  // empty: `home`
  // Without a working directory: where the caller was started, by name, so that a link in it is followed
  // anew. Where the child cannot go there it stays in the directory of the caller. Empty: likewise.
  std::string home;
  std::optional<Identity> identity;
  std::vector<std::pair<int, rlimit>> limits;
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable once the child has ended; it is reaped with waitid(P_PIDFD)
  std::shared_ptr<const void>
      claim;  // as long as it is held, is_claimed(pid): the owner of this reaps the child
};

// Whether that child of this process was started by spawn(), and its owner still has its Child. Any thread.
bool is_claimed(pid_t pid);

// Starts a program with exactly these descriptors, default signal dispositions, an empty signal mask, and a
// process group of its own. An error names the step that failed. Blocks until the exec has happened.
//
// The child shares the memory of this process until then (clone with CLONE_VM and CLONE_VFORK, as posix_spawn
// does it), so that its cost does not grow with the memory of a program that embeds liveswap, and nothing
// buffered is flushed twice. posix_spawn itself cannot set users, limits or close the rest.
Result<Child> spawn(const SpawnRequest& request);

}  // namespace liveswap::master
