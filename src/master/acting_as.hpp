#pragma once

#include <sys/types.h>

#include <optional>

#include "base/error.hpp"
#include "master/spawner.hpp"

namespace liveswap::master {

// As whom a master that is root does what a process asks for: as whom that process meets the file system by now, for
// it may have given up its rights. None: nothing has to change. An error when that cannot be found out.
Result<std::optional<Identity>> identity_now(pid_t pid);

// An error when its paths are meant from another root directory than ours, as far as this process may know.
Result<void> check_root_of(pid_t pid);

// While it lives, this thread meets the file system as that user: its files are his, and what he may not do
// fails. Nothing changes without an identity (workers and master are one user then). By raw system calls, which
// are for one thread: those of a program that embeds liveswap stay who they are.
class ActingAs {
 public:
  explicit ActingAs(const std::optional<Identity>& identity);
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;
  ~ActingAs();
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
