#include "spawn/identity.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"

namespace liveswap::spawn {
namespace {

std::vector<gid_t> groups_of(const char* user, gid_t group) {
  int count = 0;
  ::getgrouplist(user, group, nullptr, &count);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 1)), group);
  ::getgrouplist(user, group, groups.data(), &count);
  return groups;
}

}  // namespace

Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return std::optional<Identity>();
  Identity identity{::geteuid(), ::getegid(), {}};
  if (!user.empty()) {
    const auto number = number_in<unsigned>(user);
    const passwd* entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());
    if (!entry && !number) return fail(fmt::format("user: there is no user \"{}\"", user));
    identity.user = entry ? entry->pw_uid : *number;
    if (entry) identity.group = entry->pw_gid;
    if (entry) identity.groups = groups_of(entry->pw_name, entry->pw_gid);
  }
  if (!group.empty()) {
    const auto number = number_in<unsigned>(group);
    const struct group* entry = number ? ::getgrgid(*number) : ::getgrnam(group.c_str());
    if (!entry && !number) return fail(fmt::format("group: there is no group \"{}\"", group));
    identity.group = entry ? entry->gr_gid : *number;
  }
  if (identity.groups.empty()) identity.groups = {identity.group};
  return std::optional<Identity>(identity);
}

}  // namespace liveswap::spawn
