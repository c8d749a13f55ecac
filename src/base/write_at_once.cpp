#include "base/write_at_once.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"

namespace liveswap {
namespace {

bool takes_something(int fd) {
  pollfd room{fd, POLLOUT, 0};
  return ::poll(&room, 1, 0) == 1 && (room.revents & (POLLOUT | POLLERR | POLLNVAL)) != 0;
}

}  // namespace

ssize_t write_at_once(int fd, std::string_view bytes) {
  struct stat what {};
  if (::fstat(fd, &what) != 0) return -1;
  if (S_ISREG(what.st_mode)) return ::write(fd, bytes.data(), bytes.size());
  if (S_ISSOCK(what.st_mode)) return ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (S_ISFIFO(what.st_mode) || S_ISCHR(what.st_mode)) {
    const auto path = "/proc/self/fd/" + std::to_string(fd);
    const auto own = UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (own) return ::write(own.get(), bytes.data(), bytes.size());
    // ENXIO: the pipe has no reader; the write() below reports that.
  }
  if (!takes_something(fd)) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd, bytes.data(), bytes.size());
}

}  // namespace liveswap
