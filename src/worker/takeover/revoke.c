#include "revoke.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "accept_waiters.h"
#include "io_uring.h"
#include "liveswap_plugin.h"
#include "replace_fd.h"
#include "worker/api/listeners.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"

enum {
  TRY_EVERY_MS = 20,
  WARN_AFTER_SCANS = 50,
};

static atomic_bool all_replaced = true;
/* Replacements so far; and those made before the last scan that found no thread in accept(). */
static atomic_uint replaced_count;
static atomic_uint replaced_before_scan;
static atomic_uint placeholders;

/* Binds to a path that is unlinked before listen(), so that no client can connect; an abstract name could be
 * guessed. */
static bool bind_unreachable(int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/.liveswap-placeholder-%d-%u", (int)getpid(),
           atomic_fetch_add(&placeholders, 1));
  if (libc.bind(fd, (struct sockaddr*)&address, sizeof address) == 0)
    return libc.unlink(address.sun_path) == 0;
  return libc.bind(fd, (struct sockaddr*)&address, sizeof address.sun_family) == 0;
}

/* Makes the placeholder. A stream placeholder does not block; accept() of an application that treats the
 * listener as blocking polls first (interpose/accept.c). For datagrams the application's own mode stays. */
static int make_placeholder(int replaced, int type) {
  const bool blocks = type == SOCK_DGRAM && (libc.fcntl(replaced, F_GETFL) & O_NONBLOCK) == 0;
  const int fd = socket(AF_UNIX, type | (blocks ? 0 : SOCK_NONBLOCK) | SOCK_CLOEXEC, 0);
  if (fd >= 0) socket_copy_limit(replaced, fd, SO_RCVTIMEO);
  if (fd < 0 || type == SOCK_DGRAM) return fd;
  if (bind_unreachable(host_fd(fd)) && libc.listen(fd, 1) == 0) return fd;
  host_fd_close(fd);
  return -1;
}

static bool replace_by(int fd, const struct listener* listener, int placeholder) {
  /* io_uring requests belong to the open file: a duplicate is needed to cancel them. */
  const int held = libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  /* The flag first: a thread that finds the listener gone checks for the flag. */
  fd_flags_add(fd, FLAG_REVOKED);
  const bool done = replace_fd(fd, listener->cookie, placeholder);
  fd_flags_remove(fd, done ? FLAG_HELD : FLAG_REVOKED);
  if (done && held >= 0) io_uring_cancel(held);
  if (held >= 0) libc.close(held);
  return done;
}

bool revoke_descriptor(int fd, const struct listener* listener) {
  const int before = errno;
  const int placeholder = make_placeholder(fd, listener->type);
  const bool done = placeholder >= 0 && replace_by(fd, listener, placeholder);
  host_fd_close(placeholder);
  if (!done && revoke_has_begun()) atomic_store(&all_replaced, false);
  if (done) atomic_fetch_add(&replaced_count, 1);
  errno = before;
  return done;
}

static void visit(int fd, void* all) {
  const struct listener* listener = listeners_find(fd);
  if (listener != NULL && !revoke_descriptor(fd, listener)) *(bool*)all = false;
}

static void interrupt_accepts(void) {
  static int scans;
  const unsigned before = atomic_load(&replaced_count);
  /* After revoke_listeners() every thread in accept() counts, else those on a revoked descriptor. */
  const bool none =
      revoke_has_begun() ? accept_waiters_wake_all() : accept_waiters_wake_flagged(FLAG_REVOKED);
  if (none) {
    atomic_store(&replaced_before_scan, before);
    scans = 0;
  } else if (++scans == WARN_AFTER_SCANS) {
    liveswap_log(LIVESWAP_WARNING,
                 "a thread stays in accept() on a revoked listener: the thread blocks the signal that would "
                 "interrupt it, or the application has a handler for that signal");
  }
}

static void revoke_all(void) {
  bool all = true;
  atomic_store(&all_replaced, true);
  const bool seen = proc_self_each_descriptor(visit, &all);
  if (!seen || !all) atomic_store(&all_replaced, false);
  interrupt_waiting_threads();
  interrupt_accepts();
}

void revoke_listeners(void) {
  slow_path_add(SLOW_REVOKED);
  revoke_all();
}

bool revoke_is_complete(void) {
  return atomic_load(&all_replaced) && atomic_load(&replaced_before_scan) == atomic_load(&replaced_count);
}

int64_t revoke_step(void) {
  static int64_t due;
  const int64_t now = clock_ms();
  if (revoke_is_complete()) return -1;
  if (now < due) return due;
  if (atomic_load(&all_replaced)) interrupt_accepts();
  else revoke_all();
  return revoke_is_complete() ? -1 : (due = now + TRY_EVERY_MS);
}
