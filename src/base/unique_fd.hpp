#pragma once

#include <unistd.h>

#include <utility>

namespace liveswap {

// Owns a descriptor and closes it. A moved-from or released object is empty (-1). Move assignment closes the
// old descriptor first, so that the peer sees the end of file at that moment.
class UniqueFd {
 public:
  UniqueFd() = default;
  static UniqueFd adopt(int fd) { return UniqueFd(fd); }

  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~UniqueFd() { reset(); }

  // Borrowed: ownership stays here.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // Transfers ownership to the caller.
  int release() { return std::exchange(fd_, -1); }

  // close() is never retried: on Linux, the descriptor is closed even after EINTR.
  void reset() {
    if (fd_ >= 0) ::close(release());
  }

 private:
  explicit UniqueFd(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace liveswap
