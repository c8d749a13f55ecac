#include "master/setup.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.hpp"
#include "base/text.hpp"
#include "config/address.hpp"
#include "config/limits.hpp"
#include "config/values.hpp"
#include "protocol/instance.hpp"

namespace liveswap::master {
namespace {

std::vector<gid_t> groups_of(const char* user, gid_t group) {
  int count = 0;
  ::getgrouplist(user, group, nullptr, &count);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 1)), group);
  ::getgrouplist(user, group, groups.data(), &count);
  return groups;
}

}  // namespace

unsigned usable_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp(CPU_COUNT(&set), 1, static_cast<int>(config::forks_limit));
}

Options settle_options(Options options) {
  const std::string here = current_directory();
  for (std::string* path :
       {&options.target, &options.head, &options.pre_upgrade, &options.working_directory, &options.state_dir,
        &options.runtime_dir, &options.worker_host, &options.log_file})
    if (!path->empty()) *path = absolute_path(*path, here);
  for (Listener& listener : options.listen)
    if (const auto address = config::parse_address(listener.address);
        address && address->kind == config::Address::Kind::unix_path)
      listener.address = "unix:" + absolute_path(address->path, here);
  if (options.forks == 0) options.forks = usable_cpus();
  const auto instance = protocol::locate_instance(options.port, options.state_dir, options.runtime_dir);
  options.state_dir = instance.state_dir;
  options.runtime_dir = instance.runtime_dir;
  if (options.head.empty()) options.head = instance.head_path();
  return options;
}

Result<std::optional<spawn::Identity>> find_identity(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return std::optional<spawn::Identity>();
  spawn::Identity identity{::geteuid(), ::getegid(), {}};
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
  return std::optional<spawn::Identity>(identity);
}

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits) {
  std::vector<std::pair<int, rlimit>> found;
  for (const auto& [name, value] : limits) {
    const rlim_t number = value == UINT64_MAX ? RLIM_INFINITY : value;
    if (const auto resource = config::resource_of(name)) found.push_back({*resource, {number, number}});
  }
  return found;
}

Result<Token> make_token(const std::string& path) {
  unsigned char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return os_fail("make a token for", path, errno);
  Token token;
  token.text = fmt::format("{:02x}", fmt::join(bytes, ""));
  token.written = replace_file(path, token.text + "\n", 0600);
  return token;
}

}  // namespace liveswap::master
