#pragma once

#include <utility>

#include "base/unique_fd.hpp"

namespace liveswap::master {

// close() of what somebody else has made can take as long as he likes: a TCP socket waits for what is unsent
// when SO_LINGER says so, a file of a file system in user space for the answer of that, and a Unix socket
// closes what lies in its queue. The master's one thread must meet none of it.
//
// So a TCP or UDP socket has its SO_LINGER taken away: the kernel goes on in the background, and nothing that
// is sent is lost. Everything else is closed by threads of our own, a few at most; what finds none of them
// free waits its turn.
void discard(UniqueFd fd);

// Too many wait for their turn: whoever sends more of them is not to be listened to for a moment.
bool is_discarding_too_many();

// A descriptor that a worker has sent, or that was accepted from a stranger: owned as by UniqueFd, but
// discarded.
class ReceivedFd {
 public:
  ReceivedFd() = default;
  ReceivedFd(UniqueFd fd) : fd_(std::move(fd)) {}  // NOLINT: it becomes one, and everything is as before
  ReceivedFd(ReceivedFd&&) noexcept = default;
  ReceivedFd& operator=(ReceivedFd&& other) noexcept {
    if (this != &other) discard(std::exchange(fd_, std::move(other.fd_)));
    return *this;
  }
  ~ReceivedFd() { reset(); }

  int get() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  UniqueFd release() { return std::exchange(fd_, UniqueFd()); }
  void reset() {
    if (fd_) discard(std::exchange(fd_, UniqueFd()));
  }

 private:
  UniqueFd fd_;
};

}  // namespace liveswap::master
