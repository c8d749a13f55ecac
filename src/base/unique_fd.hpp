#pragma once

#include <unistd.h>

#include <utility>

namespace liveswap {

// Owns a descriptor and closes it. Moved-from and released are empty (-1); assigning closes what was held
// first, so that an end of file reaches the other side at that moment.
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

  // Borrowed: stays owned here.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // Gives the ownership away.
  int release() { return std::exchange(fd_, -1); }

  // Linux closes the descriptor even when close() reports EINTR: never retried.
  void reset() {
    if (fd_ >= 0) ::close(release());
  }

 private:
  explicit UniqueFd(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace liveswap
