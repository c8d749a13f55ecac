#include "master/setup.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <map>

#include "base/file.hpp"
#include "config/address.hpp"
#include "config/limits.hpp"
#include "protocol/instance.hpp"

extern char** environ;

namespace liveswap::master {
namespace {

constexpr const char* host_name = "liveswap-worker";

unsigned usable_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string directory_of_program() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "" : path.parent_path().string();
}

std::string directory_of_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&find_worker_host), &info) == 0 || !info.dli_fname) return "";
  return std::filesystem::path(absolute_path(info.dli_fname, current_directory())).parent_path().string();
}

bool steers_the_loader(std::string_view variable) {
  return variable.substr(0, 3) == "LD_" || variable.substr(0, 15) == "GLIBC_TUNABLES=";
}

std::optional<unsigned> as_number(const std::string& text) {
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                    : std::nullopt;
}

std::vector<gid_t> groups_of(const char* user, gid_t group) {
  int count = 0;
  ::getgrouplist(user, group, nullptr, &count);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 1)), group);
  ::getgrouplist(user, group, groups.data(), &count);
  return groups;
}

}  // namespace

Options settle_options(Options options) {
  const std::string here = current_directory();
  for (std::string* path : {&options.target, &options.head, &options.pre_upgrade, &options.working_directory,
                            &options.state_dir, &options.runtime_dir, &options.worker_host, &options.log_file})
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

Result<std::string> find_worker_host(const std::string& configured) {
  std::vector<std::string> places;
  if (!configured.empty()) {
    places.push_back(configured);
  } else {
    for (const auto& directory : {directory_of_program(), directory_of_library()}) {
      if (directory.empty()) continue;
      const auto above = std::filesystem::path(directory).parent_path();
      places.push_back(directory + "/" + host_name);
      places.push_back((above / "libexec/liveswap" / host_name).string());
      // A library may lie one deeper: lib/x86_64-linux-gnu.
      places.push_back((above.parent_path() / "libexec/liveswap" / host_name).string());
    }
    places.push_back(std::string(LIVESWAP_LIBEXECDIR "/") + host_name);
  }
  for (const auto& place : places)
    if (::access(place.c_str(), X_OK) == 0) return place;
  return fail(fmt::format("cannot find the worker host {}; looked at {}", host_name, fmt::join(places, ", ")));
}

std::vector<std::string> worker_environment(const Options& options) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view variable = *entry;
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos || steers_the_loader(variable)) continue;
    variables[std::string(variable.substr(0, equals))] = variable.substr(equals + 1);
  }
  for (const auto& [name, value] : options.environment) variables[name] = value;
  std::vector<std::string> list;
  for (const auto& [name, value] : variables) list.push_back(name + "=" + value);
  return list;
}

Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group) {
  if (user.empty() && group.empty()) return std::optional<Identity>();
  Identity identity{::geteuid(), ::getegid(), {}};
  if (!user.empty()) {
    const auto number = as_number(user);
    const passwd* entry = number ? ::getpwuid(*number) : ::getpwnam(user.c_str());
    if (!entry && !number) return fail(fmt::format("user: there is no user \"{}\"", user));
    identity.user = entry ? entry->pw_uid : *number;
    if (entry) identity.group = entry->pw_gid;
    if (entry) identity.groups = groups_of(entry->pw_name, entry->pw_gid);
  }
  if (!group.empty()) {
    const auto number = as_number(group);
    const struct group* entry = number ? ::getgrgid(*number) : ::getgrnam(group.c_str());
    if (!entry && !number) return fail(fmt::format("group: there is no group \"{}\"", group));
    identity.group = entry ? entry->gr_gid : *number;
  }
  if (identity.groups.empty()) identity.groups = {identity.group};
  return std::optional<Identity>(identity);
}

std::vector<std::pair<int, rlimit>> resource_limits(const std::vector<ResourceLimit>& limits) {
  std::vector<std::pair<int, rlimit>> found;
  for (const auto& [name, value] : limits) {
    const rlim_t number = value == UINT64_MAX ? RLIM_INFINITY : value;
    if (const auto resource = config::resource_of(name)) found.push_back({*resource, {number, number}});
  }
  return found;
}

Result<std::string> make_token(const std::string& path) {
  unsigned char bytes[32];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return os_fail("make a token for", path, errno);
  const std::string token = fmt::format("{:02x}", fmt::join(bytes, ""));
  if (auto written = replace_file(path, token + "\n", 0600); !written)
    return tl::unexpected<Error>(written.error());
  return token;
}

}  // namespace liveswap::master
