#include "client/connection.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace liveswap::client {
namespace {

constexpr std::size_t beginning_limit = 64;

// Bytes that can be read at once.
std::size_t waiting_at(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool must_wait(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

}  // namespace

Connection::IoResult Connection::wait(short events) {
  for (;;) {
    pollfd wait{fd_.get(), events, 0};
    const int ready = ::poll(&wait, 1, deadline_.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return IoResult::timed_out;
    return ready < 0 ? IoResult::closed : IoResult::ok;
  }
}

Connection::IoResult Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (must_wait(errno)) {
      if (const IoResult result = wait(POLLOUT); result != IoResult::ok) return result;
    } else if (errno != EINTR) {
      return IoResult::closed;
    }
  }
  return IoResult::ok;
}

// After the deadline, reads what is there already, which may be the answer, and nothing more: a peer may talk
// without end.
Connection::IoResult Connection::read_more() {
  if (deadline_.has_passed() && !late_) late_ = waiting_at(fd_.get());
  if (late_ == 0u) return IoResult::timed_out;
  for (;;) {
    if (const IoResult result = wait(POLLIN); result != IoResult::ok) return result;
    char bytes[16 * 1024];
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EINTR || must_wait(errno))) continue;
    if (n <= 0) return IoResult::closed;
    const std::string_view read(bytes, static_cast<std::size_t>(n));
    if (late_) *late_ -= std::min(*late_, read.size());
    if (beginning_.size() < beginning_limit)
      beginning_ += read.substr(0, beginning_limit - beginning_.size());
    lines_.append(read);
    return IoResult::ok;
  }
}

Connection::IoResult Connection::receive(std::string& line) {
  for (;;) {
    if (auto next = lines_.next()) {
      line = std::move(*next);
      return IoResult::ok;
    }
    if (lines_.too_long()) return IoResult::too_long;
    if (const IoResult result = read_more(); result != IoResult::ok) return result;
  }
}

}  // namespace liveswap::client
