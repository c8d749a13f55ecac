#include "spawn/fs_identity.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace liveswap::spawn {
namespace {

// setfsuid() does not report failure; setting an impossible number only returns the current one.
bool become_user(uid_t user) {
  ::syscall(SYS_setfsuid, user);
  return static_cast<uid_t>(::syscall(SYS_setfsuid, -1)) == user;
}

bool become_group(gid_t group) {
  ::syscall(SYS_setfsgid, group);
  return static_cast<gid_t>(::syscall(SYS_setfsgid, -1)) == group;
}

bool set_groups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

}  // namespace

FsIdentity::FsIdentity(const std::optional<Identity>& identity) {
  if (!identity) return;
  user_ = static_cast<uid_t>(::syscall(SYS_setfsuid, -1));
  group_ = static_cast<gid_t>(::syscall(SYS_setfsgid, -1));
  if (const int count = ::getgroups(0, nullptr); count > 0) {
    groups_.resize(static_cast<std::size_t>(count));
    groups_.resize(static_cast<std::size_t>(std::max(0, ::getgroups(count, groups_.data()))));
  }
  changed_ = true;
  // The user last: without root's rights the others could not be set.
  if (!set_groups(identity->groups) || !become_group(identity->group) || !become_user(identity->user))
    error_ = EPERM;
}

FsIdentity::~FsIdentity() {
  if (!changed_) return;
  become_user(user_);
  become_group(group_);
  set_groups(groups_);
}

}  // namespace liveswap::spawn
