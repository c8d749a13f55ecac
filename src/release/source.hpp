#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::release {

// Requirements for files to run.
struct Trust {
  // The master is root: the file must belong to root and be writable only by root. Ownership by the users of
  // workers is not enough: such a user could then replace the next release.
  bool privileged = false;
};

// Whether a file or directory meets the requirements. An error says what to do. `shown`: its name in errors.
Result<void> check_trust(const struct stat& info, const std::string& shown, const Trust& trust);

// A file to copy into the store. Opened once; all checks and reads use this descriptor.
class Source {
 public:
  // 4 GiB: far above real libraries; stops a mistake from filling the disk.
  static constexpr std::uint64_t size_limit = std::uint64_t{4} << 30;

  // Opens `name` in `directory` (borrowed) without waiting for a FIFO or device. Waits up to 500 ms for
  // writers. An error: not a regular file, not trusted, too large, or still open for writing. `shown`: name
  // in errors. `links`: whether `name` may be a symbolic link.
  static Result<Source> open(int directory, const std::string& name, std::string shown, const Trust& trust,
                             Links links = Links::followed);

  int fd() const { return fd_.get(); }
  std::uint64_t size() const { return static_cast<std::uint64_t>(info_.st_size); }
  const std::string& shown() const { return shown_; }
  const struct stat& info() const { return info_; }

  // An error if the file was modified since open(): the bytes read may be a mixture.
  Result<void> unchanged() const;

 private:
  Source(UniqueFd fd, std::string shown) : fd_(std::move(fd)), shown_(std::move(shown)) {}
  Result<void> wait_for_writers();
  Result<void> check(const Trust& trust) const;

  UniqueFd fd_;
  std::string shown_;
  struct stat info_ {};
};

}  // namespace liveswap::release
