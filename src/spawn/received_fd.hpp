#pragma once

#include <utility>

#include "base/unique_fd.hpp"

namespace liveswap::spawn {

// Closes `fd` without blocking the calling thread (the master has only one). close() can block: a TCP
// socket with SO_LINGER waits for unsent data, a file of a FUSE file system for its server, and a Unix
// socket closes the descriptors in its queue.
//
// A TCP or UDP socket loses its SO_LINGER: the kernel sends the rest in the background. Anything
// else is closed by one of 8 background threads; if all are busy, `fd` waits in a queue.
void discard(UniqueFd fd);

// Whether the queue of discard() is long. If so, pause reading from the workers that send descriptors.
bool is_discarding_too_many();

// A descriptor sent by a worker or accepted from a client: owned as by UniqueFd, but discarded.
class ReceivedFd {
 public:
  ReceivedFd() = default;
  ReceivedFd(UniqueFd fd) : fd_(std::move(fd)) {}  // NOLINT: implicit on purpose
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

}  // namespace liveswap::spawn
