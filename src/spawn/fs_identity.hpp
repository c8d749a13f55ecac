#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "spawn/spawner.hpp"

namespace liveswap::spawn {

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

}  // namespace liveswap::spawn
