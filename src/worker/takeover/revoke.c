#include "revoke.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
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
#include "worker/base/thread_interrupt.h"

enum {
  TRY_EVERY_MS = 20,
  COMPLAIN_AFTER_LOOKS = 50,
};

static atomic_bool taken = true;
/* Replacements so far; and those made before the last scan that found no thread in accept(). */
static atomic_uint swaps;
static atomic_uint left;
static atomic_uint stand_ins;

/* Binds to a path that is unlinked before listen(), so that no client can connect; an abstract name could be
 * guessed. */
static bool bind_nowhere(int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/.liveswap-stand-in-%d-%u", (int)getpid(),
           atomic_fetch_add(&stand_ins, 1));
  if (libc.bind(fd, (struct sockaddr*)&address, sizeof address) == 0)
    return libc.unlink(address.sun_path) == 0;
  return libc.bind(fd, (struct sockaddr*)&address, sizeof address.sun_family) == 0;
}

static void copy_time_limit(int from, int to) {
  struct timeval limit;
  socklen_t size = sizeof limit;
  if (getsockopt(from, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0)
    setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &limit, size);
}

/* Makes the placeholder. A stream placeholder does not block; accept() of an application that treats the
 * listener as blocking polls first (interpose/accept.c). For datagrams the application's own mode stays. */
static int make_stand_in(int replaced, int type) {
  const bool blocks = type == SOCK_DGRAM && (libc.fcntl(replaced, F_GETFL) & O_NONBLOCK) == 0;
  const int fd = socket(AF_UNIX, type | (blocks ? 0 : SOCK_NONBLOCK) | SOCK_CLOEXEC, 0);
  if (fd >= 0) copy_time_limit(replaced, fd);
  if (fd < 0 || type == SOCK_DGRAM) return fd;
  fd_flags_set(fd, FLAG_HOST);
  if (bind_nowhere(fd) && libc.listen(fd, 1) == 0) return fd;
  fd_flags_set(fd, 0);
  libc.close(fd);
  return -1;
}

static bool put_in_place(int fd, const struct listener* listener, int stand_in) {
  /* io_uring requests belong to the open file: keep it to cancel them. */
  const int held = libc.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  /* The flag first: a thread that finds the listener gone checks it. */
  fd_flags_add(fd, FLAG_SEIZED);
  const bool done = replace_fd(fd, listener->cookie, stand_in);
  fd_flags_remove(fd, done ? FLAG_HELD : FLAG_SEIZED);
  if (done && held >= 0) io_uring_cancel(held);
  if (held >= 0) libc.close(held);
  return done;
}

bool revoke_descriptor(int fd, const struct listener* listener) {
  const int before = errno;
  const int stand_in = make_stand_in(fd, listener->type);
  const bool done = stand_in >= 0 && put_in_place(fd, listener, stand_in);
  if (stand_in >= 0) {
    fd_flags_set(stand_in, 0);
    libc.close(stand_in);
  }
  if (!done && revoke_has_begun()) atomic_store(&taken, false);
  if (done) atomic_fetch_add(&swaps, 1);
  errno = before;
  return done;
}

static void visit(int fd, void* all) {
  const struct listener* listener = listeners_find(fd);
  if (listener != NULL && !revoke_descriptor(fd, listener)) *(bool*)all = false;
}

/* After revoke_listeners() every thread in accept() counts, else those on a revoked descriptor. */
static bool nobody_sleeps(void) {
  return revoke_has_begun() ? accept_waiters_wake_all() : accept_waiters_wake_marked(FLAG_SEIZED);
}

static void look_for_sleepers(void) {
  static int looks;
  const unsigned before = atomic_load(&swaps);
  if (nobody_sleeps()) {
    atomic_store(&left, before);
    looks = 0;
  } else if (++looks == COMPLAIN_AFTER_LOOKS) {
    liveswap_log(LIVESWAP_WARNING,
                 "a thread stays in accept() with a listener that has been taken away: it has blocked the "
                 "signal that wakes it, or the application handles it");
  }
}

static void take_all(void) {
  bool all = true;
  atomic_store(&taken, true);
  const bool seen = proc_self_each_descriptor(visit, &all);
  if (!seen || !all) atomic_store(&taken, false);
  interrupt_waiting_threads();
  look_for_sleepers();
}

void revoke_listeners(void) {
  slow_path_add(SLOW_SEIZED);
  take_all();
}

bool revoke_is_complete(void) { return atomic_load(&taken) && atomic_load(&left) == atomic_load(&swaps); }

int64_t revoke_step(void) {
  static int64_t due;
  const int64_t now = clock_ms();
  if (revoke_is_complete()) return -1;
  if (now < due) return due;
  if (atomic_load(&taken))
    look_for_sleepers();
  else
    take_all();
  return revoke_is_complete() ? -1 : (due = now + TRY_EVERY_MS);
}
