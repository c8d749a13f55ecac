#include "client/connection.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace liveswap::client {
namespace {

constexpr std::size_t beginning_limit = 64;

bool must_wait(int number) { return number == EAGAIN || number == EWOULDBLOCK; }

}  // namespace

Connection::Did Connection::wait(short events) {
  for (;;) {
    pollfd wait{fd_.get(), events, 0};
    const int ready = ::poll(&wait, 1, deadline_.poll_timeout());
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return Did::late;
    return ready < 0 ? Did::end : Did::well;
  }
}

Connection::Did Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (must_wait(errno)) {
      if (const Did did = wait(POLLOUT); did != Did::well) return did;
    } else if (errno != EINTR) {
      return Did::end;
    }
  }
  return Did::well;
}

Connection::Did Connection::read_more() {
  for (;;) {
    // Waiting comes first, so that a master that talks without pause cannot hold off the deadline.
    if (const Did did = wait(POLLIN); did != Did::well) return did;
    char bytes[16 * 1024];
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n < 0 && (errno == EINTR || must_wait(errno))) continue;
    if (n <= 0) return Did::end;
    const std::string_view read(bytes, static_cast<std::size_t>(n));
    if (beginning_.size() < beginning_limit)
      beginning_ += read.substr(0, beginning_limit - beginning_.size());
    lines_.append(read);
    return Did::well;
  }
}

Connection::Did Connection::receive(std::string& line) {
  for (;;) {
    if (auto next = lines_.next()) {
      line = std::move(*next);
      return Did::well;
    }
    if (lines_.too_long()) return Did::too_long;
    if (const Did did = read_more(); did != Did::well) return did;
  }
}

}  // namespace liveswap::client
