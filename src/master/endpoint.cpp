#include "master/endpoint.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "master/accept_queue.hpp"

namespace liveswap::master {

void Endpoint::turn_away(int fd) const {
  std::size_t count = 0;
  // An application may have made it blocking (repair_socket).
  if (const int flags = ::fcntl(fd, F_GETFL); !(flags & O_NONBLOCK)) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  for (; anybody_waits(fd); ++count) {
    const auto client = UniqueFd::adopt(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) break;
    // A reset, not an end of file: the client shall know that nobody has read its request.
    const linger reset{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  if (count > 0)
    log::warning("listener {}: reset {} connection{} that no worker is left for", name_, count,
                 count == 1 ? "" : "s");
}

bool Endpoint::repair_socket(int fd, int backlog) const {
  int listens = 0;
  socklen_t size = sizeof listens;
  ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (!listens)
    log::warning("listener {}: an application has shut the shared socket down; listening again", name_);
  // On a socket that listens it only sets the backlog.
  if (::listen(fd, backlog) != 0)
    log::error("cannot listen again on {}: {}", address(), error_text(errno));
  const int flags = ::fcntl(fd, F_GETFL);
  if (!(flags & O_NONBLOCK)) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return !listens;
}

}  // namespace liveswap::master
