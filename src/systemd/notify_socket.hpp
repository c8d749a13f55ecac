#pragma once

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::systemd {

// The socket to the service manager. Sending never blocks. The kernel adds the credentials of this process.
class NotifySocket {
 public:
  // `address`: of $NOTIFY_SOCKET: an absolute path, or "@name" of an abstract socket. Need not exist yet.
  static Result<NotifySocket> open(const std::string& address);

  // One datagram, with a copy of the descriptor `fd` unless that is -1. 0, or an errno: nothing was sent; if
  // EAGAIN, the manager's queue is full.
  int send(const std::string& text, int fd = -1) const;
  const std::string& address() const { return address_; }

 private:
  NotifySocket(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}

  UniqueFd fd_;
  std::string address_;
};

}  // namespace liveswap::systemd
