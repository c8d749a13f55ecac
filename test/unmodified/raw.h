/* For -include: makes a server call the kernel itself, like Go and statically linked programs. libc's names
 * become raw calls, after libc's headers have declared them. */
#ifndef UNMODIFIED_RAW_H
#define UNMODIFIED_RAW_H

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "../worker/raw_call.h"

static inline int raw_result(long result) {
  if (result >= 0) return (int)result;
  errno = (int)-result;
  return -1;
}

#define bind(fd, address, size) raw_result(raw_call(SYS_bind, fd, (long)(address), size, 0))
#define listen(fd, backlog) raw_result(raw_call(SYS_listen, fd, backlog, 0, 0))
#define accept4(fd, address, size, flags) \
  raw_result(raw_call(SYS_accept4, fd, (long)(address), (long)(size), flags))
#define epoll_ctl(epoll, operation, fd, event) \
  raw_result(raw_call(SYS_epoll_ctl, epoll, operation, fd, (long)(event)))

#endif
