#include "master/setup.hpp"

#include <fmt/format.h>
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
