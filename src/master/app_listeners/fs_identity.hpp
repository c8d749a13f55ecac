#pragma once

#include <sys/types.h>

#include <optional>

#include "base/error.hpp"
#include "master/workers/worker_process.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// As whom a master that is root does what the sender of a frame asks for. None: nothing has to change. An
// error: it gets nothing.
//
// What the kernel says of the sender is how it was then, what /proc says is how the worker is now, and either
// alone deceives: a child of the worker may speak on its channel, and a worker that has given up root's
// rights becomes root again, by the number, when it executes a set-uid program. So root it is only where both
// say so of the worker itself; who has given rights up for a while (seteuid) has given them up here, too; and
// groups beside its own only the worker has.
Result<std::optional<Identity>> identity_of(pid_t worker, const Sender& sender);

// An error when its paths are meant from another root directory than ours, as far as this process may know,
// or when it is gone.
Result<void> check_root_of(pid_t pid);

// While it lives, this thread meets the file system as that user: its files are his, and what he may not do
// fails. Nothing changes without an identity (workers and master are one user then). By raw system calls,
// which are for one thread: those of a program that embeds liveswap stay who they are.
class FsIdentity {
 public:
  explicit FsIdentity(const std::optional<Identity>& identity);
  FsIdentity(const FsIdentity&) = delete;
  FsIdentity& operator=(const FsIdentity&) = delete;
  ~FsIdentity();
  // 0, or why this thread cannot act as that user: nothing may be done then.
  int error() const { return error_; }

 private:
  bool changed_ = false;
  int error_ = 0;
  uid_t user_ = 0;
  gid_t group_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace liveswap::master
