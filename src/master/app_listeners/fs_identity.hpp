#pragma once

#include <sys/types.h>

#include <optional>

#include "base/error.hpp"
#include "master/workers/worker_process.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// The user that a root master becomes (FsIdentity) for the request of a frame. nullopt: no change needed.
// An error: refuse the request.
//
// The kernel's credentials describe the sender at that time, /proc the worker now. Neither suffices: a
// child of the worker may use the channel, and a worker that has dropped root becomes root again by
// executing a set-uid program. So root counts only if both say so for the worker. Rights dropped
// temporarily (seteuid) are dropped here too. Supplementary groups come from the worker only.
Result<std::optional<Identity>> identity_of(pid_t worker, const Sender& sender);

// An error if the process has another root directory than this one, as far as that can be read, or has
// exited.
Result<void> check_root_of(pid_t pid);

// As long as the object exists, this thread accesses the file system as that user: new files belong to the
// user, and permissions apply. Does nothing without an identity (workers run as the master's user). By raw
// system calls, which change this thread only, not the embedding program's others.
class FsIdentity {
 public:
  explicit FsIdentity(const std::optional<Identity>& identity);
  FsIdentity(const FsIdentity&) = delete;
  FsIdentity& operator=(const FsIdentity&) = delete;
  ~FsIdentity();
  // 0, or an errno: this thread cannot act as that user, and nothing may be done.
  int error() const { return error_; }

 private:
  bool changed_ = false;
  int error_ = 0;
  uid_t user_ = 0;
  gid_t group_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace liveswap::master
