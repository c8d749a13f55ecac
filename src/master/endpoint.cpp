#include "master/endpoint.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "master/accept_queue.hpp"
#include "master/received_fd.hpp"
#include "master/sockets.hpp"

namespace liveswap::master {
namespace {

// Where the kernel does not say how many wait: more than by its default can (net.core.somaxconn).
constexpr std::size_t queue_limit = 4096;

// Not an end of file: the client shall know that nobody has read its request. By hand, since a socket that is closed
// with SO_LINGER {1, 0} is reset, and ReceivedFd takes that away.
void reset_connection(int fd) {
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  ::connect(fd, &nowhere, sizeof nowhere);
}

}  // namespace

// Whoever connects as fast as this accepts would else keep the master here for ever.
void Endpoint::turn_away(int fd) const {
  std::size_t count = 0;
  const std::size_t limit = accept_queue(fd).value_or(queue_limit);
  end_blocking(fd);
  for (; count < limit && anybody_waits(fd); ++count) {
    const ReceivedFd client(UniqueFd::adopt(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC)));
    if (!client) break;
    reset_connection(client.get());
  }
  tell_reset(count);
}

void Endpoint::tell_reset(std::size_t count) const {
  if (count > 0)
    log::warning("listener {}: reset {} connection{} that no worker is left for", name_, count,
                 count == 1 ? "" : "s");
}

void Endpoint::shut_down(int fd) const {
  const std::size_t waiting = accept_queue(fd).value_or(0);
  const bool is_internet = address_of(fd).storage.ss_family != AF_UNIX;
  ::shutdown(fd, SHUT_RDWR);
  // The kernel has reset what waited in an internet socket.
  if (is_internet)
    tell_reset(waiting);
  else
    turn_away(fd);
}

bool Endpoint::repair_socket(int fd, int backlog, bool nonblocking) const {
  int listens = 0;
  socklen_t size = sizeof listens;
  ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (!listens)
    log::warning("listener {}: an application has shut the shared socket down; listening again", name_);
  // On a socket that listens it only sets the backlog.
  if (::listen(fd, backlog) != 0)
    log::error("cannot listen again on {}: {}", address(), error_text(errno));
  if (nonblocking && !is_nonblocking(fd)) end_blocking(fd);
  return !listens;
}

}  // namespace liveswap::master
