#include "master/acting_as.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>

namespace liveswap::master {
namespace {

// They do not say whether they worked: an impossible number changes nothing and tells what is.
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

// The last number of "Uid:" and "Gid:" is that of the file system (proc(5)).
Result<Identity> read_status(const std::string& path) {
  std::ifstream file(path);
  std::map<std::string, std::vector<unsigned>> found;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name != "Uid:" && name != "Gid:" && name != "Groups:") continue;
    for (unsigned number = 0; words >> number;) found[name].push_back(number);
  }
  if (found["Uid:"].size() != 4 || found["Gid:"].size() != 4) return fail(fmt::format("cannot read {}", path));
  const auto& groups = found["Groups:"];
  return Identity{found["Uid:"][3], found["Gid:"][3], {groups.begin(), groups.end()}};
}

}  // namespace

Result<std::optional<Identity>> identity_now(pid_t pid) {
  if (::geteuid() != 0) return std::nullopt;
  auto status = read_status(fmt::format("/proc/{}/status", pid));
  if (!status) return tl::unexpected<Error>(status.error());
  if (status->user == 0) return std::nullopt;
  return std::optional<Identity>(std::move(*status));
}

Result<void> check_root_of(pid_t pid) {
  struct stat own {}, root {};
  if (::stat("/", &own) != 0 || ::stat(fmt::format("/proc/{}/root", pid).c_str(), &root) != 0) return {};
  if (own.st_dev == root.st_dev && own.st_ino == root.st_ino) return {};
  return fail("it has another root directory (chroot) than the master");
}

ActingAs::ActingAs(const std::optional<Identity>& identity) {
  if (!identity) return;
  user_ = static_cast<uid_t>(::syscall(SYS_setfsuid, -1));
  group_ = static_cast<gid_t>(::syscall(SYS_setfsgid, -1));
  if (const int count = ::getgroups(0, nullptr); count > 0) {
    groups_.resize(static_cast<std::size_t>(count));
    groups_.resize(static_cast<std::size_t>(std::max(0, ::getgroups(count, groups_.data()))));
  }
  changed_ = true;
  // The user last: he may not change the others.
  if (!set_groups(identity->groups) || !become_group(identity->group) || !become_user(identity->user))
    error_ = EPERM;
}

ActingAs::~ActingAs() {
  if (!changed_) return;
  become_user(user_);
  become_group(group_);
  set_groups(groups_);
}

}  // namespace liveswap::master
