#include "master/app_listeners/worker_identity.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>

namespace liveswap::master {
namespace {

// Four numbers each: real, effective, saved and file-system id (proc(5)).
struct Status {
  std::vector<unsigned> users, groups, others;
};

Result<Status> status_of(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/status", pid);
  std::ifstream file(path);
  std::map<std::string, std::vector<unsigned>> found;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name != "Uid:" && name != "Gid:" && name != "Groups:") continue;
    for (unsigned number = 0; words >> number;) found[name].push_back(number);
  }
  if (found["Uid:"].size() != 4 || found["Gid:"].size() != 4)
    return fail(fmt::format("cannot read {}", path));
  return Status{found["Uid:"], found["Gid:"], found["Groups:"]};
}

bool are_all(const std::vector<unsigned>& numbers, unsigned number) {
  return std::all_of(numbers.begin(), numbers.end(), [number](unsigned one) { return one == number; });
}

// For a worker that sent the frame as root.
Result<std::optional<spawn::Identity>> identity_of_root(const Status& status) {
  if (are_all(status.users, 0)) return std::nullopt;
  if (status.users[3] == 0) return fail("it is root in part");
  return std::optional(
      spawn::Identity{status.users[3], status.groups[3], {status.others.begin(), status.others.end()}});
}

}  // namespace

Result<std::optional<spawn::Identity>> identity_of(pid_t worker, const Sender& sender) {
  if (::geteuid() != 0) return std::nullopt;
  const bool is_worker = sender.pid == worker;
  if (sender.user == 0 && !is_worker) return fail("another process than the worker asks as root");
  if (sender.user == static_cast<uid_t>(-1)) return fail("the sender is unknown");
  const auto status = is_worker ? status_of(worker) : Result<Status>(Status{});
  if (!status) return tl::unexpected<Error>(status.error());
  if (sender.user == 0) return identity_of_root(*status);
  spawn::Identity as{sender.user, sender.group, {}};
  if (is_worker && are_all(status->users, sender.user))
    as.groups = {status->others.begin(), status->others.end()};
  return std::optional(as);
}

Result<void> check_root_of(pid_t pid) {
  struct stat own {
  }, root{};
  if (::stat("/", &own) != 0) return os_fail("look at", "/", errno);
  const std::string path = fmt::format("/proc/{}/root", pid);
  if (::stat(path.c_str(), &root) != 0) {
    // A master that is not root may not inspect a process that has changed its user. But such a master does
    // nothing for the process that the process itself could not do.
    if (errno == EACCES || errno == EPERM) return {};
    return os_fail("look at", path, errno);
  }
  if (own.st_dev == root.st_dev && own.st_ino == root.st_ino) return {};
  return fail("it has another root directory (chroot) than the master");
}

}  // namespace liveswap::master
