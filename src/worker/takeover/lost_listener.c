#include "lost_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "accept_waiters.h"
#include "adopted_connections.h"
#include "connection_count.h"
#include "io_uring.h"
#include "liveswap_plugin.h"
#include "replace_fd.h"
#include "revoke.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"

/* Descriptors of one listener, at most. */
enum { COPIES_MAX = 64 };

struct replacement {
  uint64_t cookie;
  int by;
  int count;
  int failed; /* an errno; 0: none */
  int fds[COPIES_MAX];
  unsigned flags[COPIES_MAX];
};

static void note_copy(int fd, void* context) {
  struct replacement* all = context;
  if (all->count == COPIES_MAX || (fd_flags(fd) & FLAG_HOST) != 0) return;
  if (socket_is(fd, all->cookie)) all->fds[all->count++] = fd;
}

/* Restores the flags once the new socket is a known listener. Before that, listeners_held() on another thread
 * may have removed them. */
static void restore_flags(const struct replacement* all) {
  for (int i = 0; i < all->count; ++i)
    if (all->fds[i] >= 0) fd_flags_set(all->fds[i], all->flags[i]);
}

/* Returns a descriptor of the replaced socket, owned by the caller; -1: none. */
static int replace_all(struct replacement* all) {
  if (!proc_self_each_descriptor(note_copy, all)) all->failed = EMFILE;
  const int former = all->count > 0 ? host_fd(libc.fcntl(all->fds[0], F_DUPFD_CLOEXEC, 0)) : -1;
  for (int i = 0; i < all->count; ++i) {
    all->flags[i] = fd_flags(all->fds[i]);
    if (replace_fd(all->fds[i], all->cookie, all->by)) continue;
    all->failed = errno;
    all->fds[i] = -1;
  }
  return former;
}

/* Threads that wait on the former socket would wait for ever. */
static void end_waits(int former) {
  if (former >= 0) io_uring_cancel(former);
  interrupt_waiting_threads();
  accept_waiters_wake_flagged(FLAG_HELD);
}

static void adopt_waiting(int former, uint64_t cookie) {
  if (former < 0) return;
  /* Other workers accept from the same socket: this accept must not block. */
  socket_end_blocking(former);
  for (int connection; (connection = libc.accept4(former, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
    adopted_put(cookie, connection, 0);
}

void lost_listener_replace(uint64_t cookie, int by) {
  struct replacement all = {.cookie = cookie, .by = by};
  const struct listener* listener = listeners_with(cookie);
  uint64_t fresh = 0;
  int former = -1;
  if (listener != NULL && !revoke_has_begun() && socket_cookie(by, &fresh)) {
    host_fd(by);
    former = replace_all(&all);
    listeners_renew(listener, fresh);
    restore_flags(&all);
    end_waits(former);
    adopt_waiting(former, fresh);
    if (all.failed != 0)
      liveswap_log(LIVESWAP_WARNING, "a lost listener could not be replaced in all of its descriptors");
  }
  host_fd_close(former);
  host_fd_close(by);
}

bool lost_listener_renamed(const struct listener* listener, int by) {
  struct replacement all = {.cookie = listener->cookie, .by = by};
  if (!listeners_add(by)) return false;
  const struct listener* held = listeners_find(by);
  const int former = replace_all(&all);
  restore_flags(&all);
  if (held != NULL && held->type == SOCK_STREAM) adopted_listener(held);
  end_waits(former);
  host_fd_close(former);
  if (all.failed == 0) {
    /* Open connections are counted by the entry of the listener that they came in by. */
    if (connection_count() > 0) listeners_closed(listener);
    else listeners_forget(listener);
  }
  errno = all.failed;
  return all.failed == 0;
}
