#include "release/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <cerrno>
#include <ctime>

namespace liveswap::release {
namespace {

// How long to wait for a writer, such as a linker about to close the file, or a forked child before its exec.
constexpr int writer_limit_ms = 500;
constexpr int poll_interval_ms = 5;
// File times advance with the kernel's tick, at most 10 ms: a second write within a tick does not change
// them.
constexpr std::int64_t tick_ns = 12'000'000;

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    default: return "a device";
  }
}

// A read lease is granted only if no process has the file open for writing. Released at once: an open() by
// another process waits only that long, and the signal for it is ignored by default. Without leases (file of
// another user, network file system), the result is false.
bool has_writer(int fd) {
  ::fcntl(fd, F_SETSIG, SIGURG);
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

std::int64_t in_ns(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

bool written_just_now(const struct stat& info) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t age = in_ns(now) - in_ns(info.st_mtim);
  return age >= 0 && age < tick_ns;
}

}  // namespace

Result<Source> Source::open(int directory, const std::string& name, std::string shown, const Trust& trust,
                            Links links) {
  const int nofollow = links == Links::refused ? O_NOFOLLOW : 0;
  auto fd = UniqueFd::adopt(
      ::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | nofollow));
  if (!fd) return os_fail("open", shown, errno);
  Source source(std::move(fd), std::move(shown));
  if (::fstat(source.fd(), &source.info_) != 0) return os_fail("look at", source.shown_, errno);
  if (auto checked = source.check(trust); !checked) return tl::unexpected<Error>(checked.error());
  if (auto waited = source.wait_for_writers(); !waited) return tl::unexpected<Error>(waited.error());
  // Owner and mode may have changed while waiting.
  if (auto checked = source.check(trust); !checked) return tl::unexpected<Error>(checked.error());
  return source;
}

Result<void> Source::wait_for_writers() {
  for (int waited = 0;; waited += poll_interval_ms) {
    const bool writer = has_writer(fd());
    if (::fstat(fd(), &info_) != 0) return os_fail("look at", shown_, errno);
    if (!writer && !written_just_now(info_)) return {};
    if (waited >= writer_limit_ms)
      return fail(shown_ + " is still " + (writer ? "open for writing" : "being written") +
                  ": is a build or a copy still running? Try again when it has ended");
    ::poll(nullptr, 0, poll_interval_ms);
  }
}

Result<void> Source::check(const Trust& trust) const {
  if (!S_ISREG(info_.st_mode))
    return fail(fmt::format("{} is {}, expected a regular file", shown_, kind_of(info_.st_mode)));
  if (size() > size_limit)
    return fail(fmt::format("{} has {} bytes, expected at most {}", shown_, size(), size_limit));
  return check_trust(info_, shown_, trust);
}

Result<void> check_trust(const struct stat& info, const std::string& shown, const Trust& trust) {
  if (!trust.privileged) return {};
  if (info.st_uid != 0)
    return fail(
        fmt::format("{} belongs to user {}, expected root, since the master runs as root: "
                    "`chown root {}` if root trusts its content",
                    shown, info.st_uid, shown));
  if (info.st_mode & (S_IWGRP | S_IWOTH))
    return fail(fmt::format(
        "{} has mode {:04o}, expected that only root may write to it, since the master runs as root: "
        "`chmod go-w {}`",
        shown, info.st_mode & 07777, shown));
  return {};
}

Result<void> Source::unchanged() const {
  struct stat now {};
  if (::fstat(fd(), &now) != 0) return os_fail("look at", shown_, errno);
  if (now.st_size == info_.st_size && in_ns(now.st_mtim) == in_ns(info_.st_mtim)) return {};
  return fail(fmt::format(
      "{} was changed while it was read (it had {} bytes, now {}): is a build or a copy still running? "
      "Try again when it has ended",
      shown_, info_.st_size, now.st_size));
}

}  // namespace liveswap::release
