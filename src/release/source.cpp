#include "release/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <cerrno>
#include <ctime>

namespace liveswap::release {
namespace {

// A writer that goes away so soon holds nobody up: a linker that is about to close the file, or a child that
// some other process has forked and that has inherited the descriptor until its exec.
constexpr int patience_ms = 500;
constexpr int look_again_ms = 5;
// Times of files come from the kernel's tick, 10 ms at most: of two writes within one tick the second changes
// no time.
constexpr std::int64_t tick_ns = 12'000'000;

const char* kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    default:
      return "a device";
  }
}

// The kernel gives a read lease on a file only if nobody has it open for writing. It is given back at once:
// who opens it meanwhile waits for that long, and the signal that tells of it is one that is ignored by
// default. Where leases are not to be had (another's file, a network), nobody knows of a writer.
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

Result<Source> Source::open(int directory, const std::string& name, std::string shown, const Trust& trust) {
  auto fd = UniqueFd::adopt(::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return os_fail("open", shown, errno);
  Source source(std::move(fd), std::move(shown));
  if (::fstat(source.fd(), &source.info_) != 0) return os_fail("look at", source.shown_, errno);
  if (auto checked = source.check(trust); !checked) return tl::unexpected<Error>(checked.error());
  if (auto settled = source.settle(); !settled) return tl::unexpected<Error>(settled.error());
  // Its owner and mode may have been changed while it was waited for.
  if (auto checked = source.check(trust); !checked) return tl::unexpected<Error>(checked.error());
  return source;
}

Result<void> Source::settle() {
  for (int waited = 0;; waited += look_again_ms) {
    const bool writer = has_writer(fd());
    if (::fstat(fd(), &info_) != 0) return os_fail("look at", shown_, errno);
    if (!writer && !written_just_now(info_)) return {};
    if (waited >= patience_ms)
      return fail(shown_ + " is still " + (writer ? "open for writing" : "being written") +
                  ": is a build or a copy still running? Try again when it has ended");
    ::poll(nullptr, 0, look_again_ms);
  }
}

Result<void> Source::check(const Trust& trust) const {
  if (!S_ISREG(info_.st_mode))
    return fail(fmt::format("{} is {}, expected a regular file", shown_, kind_of(info_.st_mode)));
  if (size() > size_limit)
    return fail(fmt::format("{} has {} bytes, expected at most {}", shown_, size(), size_limit));
  if (!trust.privileged) return {};
  if (info_.st_uid != 0)
    return fail(
        fmt::format("{} belongs to user {}, expected root, since the master runs as root: "
                    "`chown root {}` if its content may run as root's choice",
                    shown_, info_.st_uid, shown_));
  if (info_.st_mode & (S_IWGRP | S_IWOTH))
    return fail(fmt::format(
        "{} has mode {:04o}, expected that only root may write to it, since the master runs as root: "
        "`chmod go-w {}`",
        shown_, info_.st_mode & 07777, shown_));
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
