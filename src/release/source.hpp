#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::release {

// Whose files may be run.
struct Trust {
  // The master is root: a file must belong to root, and nobody else may write to it. That the user whom the
  // workers run as owns it is not enough: whoever has that account would have the next release as well.
  bool privileged = false;
};

// A file to take, opened once: everything that is found out about it, and every byte of it, comes from this
// descriptor.
class Source {
 public:
  // 4 GiB: far more than a library has, and little enough for a mistake not to fill the disk.
  static constexpr std::uint64_t size_limit = std::uint64_t{4} << 30;

  // Opens `name` in `directory` (borrowed), never waiting for a FIFO or device. An error: no regular file,
  // not to be trusted, too large, or still open for writing after half a second of patience. `shown` is its
  // name in errors.
  static Result<Source> open(int directory, const std::string& name, std::string shown, const Trust& trust);

  int fd() const { return fd_.get(); }
  std::uint64_t size() const { return static_cast<std::uint64_t>(info_.st_size); }
  const std::string& shown() const { return shown_; }

  // Error when it has been written to since it was opened: what was read meanwhile may be half old, half new.
  Result<void> unchanged() const;

 private:
  Source(UniqueFd fd, std::string shown) : fd_(std::move(fd)), shown_(std::move(shown)) {}
  Result<void> settle();
  Result<void> check(const Trust& trust) const;

  UniqueFd fd_;
  std::string shown_;
  struct stat info_ {};
};

}  // namespace liveswap::release
