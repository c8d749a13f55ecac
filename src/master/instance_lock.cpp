#include "master/instance_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/file.hpp"
#include "base/log.hpp"

namespace liveswap::master {
namespace {

using Clock = std::chrono::steady_clock;
using Refusal = InstanceLock::Refusal;
using Failure = InstanceLock::Failure;

// Polling interval: without a thread that blocks in flock(), nothing reports that a lock is free.
constexpr int look_again_ms = 20;

std::string workers_path(const protocol::Instance& instance) { return instance.state_dir + "/workers.lock"; }

tl::expected<UniqueFd, Refusal> open_lock(const std::string& path) {
  auto fd =
      UniqueFd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd)
    return tl::unexpected<Refusal>({Failure::failed, os_error("open the lock file", path, errno).text});
  return fd;
}

bool try_lock(const UniqueFd& fd) { return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0; }

bool wait_for(const UniqueFd& fd, std::optional<std::chrono::milliseconds> patience) {
  const auto begin = Clock::now();
  while (!try_lock(fd)) {
    if (patience && Clock::now() - begin >= *patience) return false;
    ::poll(nullptr, 0, look_again_ms);
  }
  return true;
}

// The pid in the file; 0: none.
pid_t pid_in(const std::string& path) {
  const auto text = read_small_file(path, 32);
  pid_t pid = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), pid);
  return pid;
}

// Whether a dead master's lock becomes free within a moment. If a master is killed while starting a child,
// the child holds the inherited lock until its exec.
bool is_released_soon(const UniqueFd& lock, const std::string& path) {
  constexpr std::chrono::milliseconds until_exec{1'000};
  const pid_t pid = pid_in(path);
  return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH && wait_for(lock, until_exec);
}

std::string holder_of(const std::string& path) {
  const pid_t pid = pid_in(path);
  return pid > 0 ? fmt::format(" (pid {})", pid) : "";
}

}  // namespace

tl::expected<InstanceLock, Refusal> InstanceLock::acquire(const protocol::Instance& instance) {
  const std::string path = instance.state_dir + "/lock";
  auto master = open_lock(path);
  if (!master) return tl::unexpected(master.error());
  if (!try_lock(*master) && !is_released_soon(*master, path))
    return tl::unexpected<Refusal>(
        {Failure::refused,
         fmt::format("a master{} already runs on port {}: `liveswap upgrade` gives it new code, "
                     "another --port starts a second one",
                     holder_of(path), instance.port)});
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(master->get(), 0) != 0 ||
      ::pwrite(master->get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    log::warning("cannot write the pid into {}", path);
  return adopt(std::move(*master), instance);
}

tl::expected<void, Refusal> InstanceLock::wait_for_workers(
    std::optional<std::chrono::milliseconds> patience) const {
  const auto life = open_lock(workers_path_);
  if (!life) return tl::unexpected(life.error());
  if (try_lock(*life)) return {};
  log::warning("workers of an earlier master on port {} are still draining; waiting for them",
               instance_.port);
  if (!wait_for(*life, patience))
    return tl::unexpected<Refusal>(
        {Failure::timed_out, fmt::format("workers of an earlier master on port {} have not drained within "
                                         "{} ms: `fuser {}/workers.lock` "
                                         "shows which",
                                         instance_.port, patience->count(), instance_.state_dir)});
  log::info("the workers of the earlier master have gone");
  return {};
}

InstanceLock InstanceLock::adopt(UniqueFd fd, const protocol::Instance& instance) {
  InstanceLock lock;
  lock.master_ = std::move(fd);
  lock.instance_ = instance;
  lock.workers_path_ = workers_path(instance);
  return lock;
}

UniqueFd InstanceLock::life() const {
  auto fd = UniqueFd::adopt(::open(workers_path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd) ::flock(fd.get(), LOCK_SH | LOCK_NB);
  return fd;
}

}  // namespace liveswap::master
