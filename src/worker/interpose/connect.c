/* connect(): a client may have bound an address first, and the socket was then taken for a listener. */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/socket.h"
#include "worker/link/channel.h"
#include "worker/takeover/replace_fd.h"
#include "worker/takeover/socket_options.h"

/* Replaces the held socket by an unshared one with the same address and options, and tells the master to
 * release the listener. */
static bool let_go(int fd, const struct listener* listener) {
  union address local = listener->address;
  const int domain = local.any.sa_family;
  const int fresh = socket(domain, listener->type | SOCK_CLOEXEC, 0);
  if (fresh < 0) return false;
  const int yes = 1;
  const bool blocking = listener->type == SOCK_DGRAM ? (libc.fcntl(fd, F_GETFL) & O_NONBLOCK) == 0
                                                     : (fd_flags(fd) & FLAG_BLOCKING) != 0;
  socket_options_copy(fd, fresh);
  setsockopt(fresh, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  setsockopt(fresh, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  bool done = libc.bind(fresh, &local.any, listener->address_size) == 0 &&
              (blocking || libc.fcntl(fresh, F_SETFL, O_NONBLOCK) == 0) &&
              replace_fd(fd, listener->cookie, fresh);
  libc.close(fresh);
  if (!done) return false;
  fd_flags_set(fd, 0);
  const uint64_t cookie = listener->cookie;
  listeners_forget(listener);
  readiness_review();
  channel_send((struct liveswap_frame){.kind = LIVESWAP_UNLISTEN}, &cookie, sizeof cookie);
  return true;
}

INTERPOSED int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t size) {
  const struct listener* listener = listeners_held(fd);
  if (listener != NULL && listener->name == NULL && !socket_listens(fd) && !let_go(fd, listener)) return -1;
  return libc.connect(fd, address.__sockaddr__, size);
}
