#include "socket.h"

#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "libc.h"

bool socket_cookie(int fd, uint64_t* cookie) {
  socklen_t size = sizeof *cookie;
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size) == 0;
}

bool socket_is(int fd, uint64_t cookie) {
  uint64_t found = 0;
  return socket_cookie(fd, &found) && found == cookie;
}

int socket_option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool socket_listens(int fd) { return socket_option(fd, SO_ACCEPTCONN) > 0; }

/* FIONBIO, not F_SETFL, which would overwrite flags that another process sets at the same moment. */
void socket_end_blocking(int fd) {
  const int before = errno;
  int on = 1;
  libc.ioctl(fd, FIONBIO, &on);
  errno = before;
}

bool socket_is_ended(int fd) {
  struct pollfd end = {fd, POLLRDHUP, 0};
  return libc.poll(&end, 1, 0) > 0 && (end.revents & POLLRDHUP) != 0;
}

void socket_copy_limit(int from, int to, int option) {
  struct timeval limit;
  socklen_t size = sizeof limit;
  if (getsockopt(from, SOL_SOCKET, option, &limit, &size) == 0)
    libc.setsockopt(to, SOL_SOCKET, option, &limit, size);
}

int socket_receive_limit(int fd) {
  struct timeval limit = {0};
  socklen_t size = sizeof limit;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) != 0 ||
      (limit.tv_sec == 0 && limit.tv_usec == 0))
    return -1;
  return limit.tv_sec < INT_MAX / 1000 ? (int)(limit.tv_sec * 1000 + limit.tv_usec / 1000) : INT_MAX;
}
