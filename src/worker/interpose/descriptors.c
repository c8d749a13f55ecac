/*
 * close, shutdown and dup2 on shared sockets, which would affect every generation: they act for this
 * application only. Also protects the worker host's descriptors from loops that close everything.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "event_loop.h"
#include "worker/api/drain.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"
#include "worker/base/wake.h"
#include "worker/control/parking.h"
#include "worker/link/channel.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/descendants.h"
#include "worker/takeover/epoll_lock.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/replace_fd.h"
#include "worker/takeover/revoke.h"

struct copies {
  uint64_t cookie;
  int count;
};

static void count_copy(int fd, void* context) {
  struct copies* copies = context;
  if (socket_is(fd, copies->cookie)) ++copies->count;
}

/* A lent listener on which the application had waited: this slot would serve no more connections. False if a
 * child may serve them. */
static bool is_abandoned(const struct listener* lent) {
  return lent->waited && !drain_is_on() && !descendants_may_be();
}

/* The application has closed a descriptor of the listener. After the last one the master may stop listening,
 * or replaces the worker. */
static void released(const struct listener* listener) {
  struct copies copies = {.cookie = listener->cookie};
  const bool is_lent = listener->name != NULL;
  if (revoke_has_begun() || (is_lent && !is_abandoned(listener))) return;
  if (!proc_self_each_descriptor(count_copy, &copies) || copies.count > 0) return;
  if (!is_lent) adopted_forget(listener);
  listeners_closed(listener);
  readiness_review();
  channel_send((struct liveswap_frame){.kind = LIVESWAP_UNLISTEN}, &copies.cookie, sizeof copies.cookie);
}

/* Saves errno and blocks cancellation, so that what the worker host does after the application's call does
 * not change that call's result. */
struct section {
  int error;
  int cancel;
};

static struct section enter_section(void) {
  struct section section = {.error = errno};
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section.cancel);
  return section;
}

static void leave_section(struct section section) {
  pthread_setcancelstate(section.cancel, NULL);
  errno = section.error;
}

/* A thread in accept() with the closed descriptor would take a connection from other workers. */
static void after_release(int fd, const struct listener* listener) {
  const struct section section = enter_section();
  accept_waiters_wake_at(fd);
  released(listener);
  leave_section(section);
}

static COLD int close_flagged(int fd) {
  if (forked_child_is_of_vfork()) return libc.close(fd);
  if ((fd_flags(fd) & FLAG_HOST) != 0) {
    errno = EBADF;
    return -1;
  }
  if ((fd_flags(fd) & FLAG_HANDOFF) != 0) return epoll_lock_close(fd);
  const struct listener* listener = listeners_held(fd);
  if (listener != NULL) replace_fd_forget(fd);
  fd_flags_set(fd, 0);
  const int done = listener != NULL ? epoll_lock_close(fd) : libc.close(fd);
  if (listener != NULL) after_release(fd, listener);
  return done;
}

INTERPOSED int close(int fd) {
  if (event_loop_is_looked_for()) event_loop_closes(fd);
  return fd_flags(fd) == 0 ? libc.close(fd) : close_flagged(fd);
}

INTERPOSED int close_range(unsigned first, unsigned last, int flags) {
  if (first > last || (flags & ~CLOSE_RANGE_UNSHARE) != 0) return libc.close_range(first, last, flags);
  const unsigned end = (unsigned)atomic_load(&fd_flags_end);
  unsigned from = first;
  for (unsigned fd = first; fd <= last && fd < end; ++fd) {
    if (fd_flags((int)fd) == 0) continue;
    if (fd > from) libc.close_range(from, fd - 1, flags);
    close_flagged((int)fd);
    from = fd + 1;
  }
  return from <= last ? libc.close_range(from, last, flags) : 0;
}

INTERPOSED void closefrom(int low) { close_range(low < 0 ? 0 : (unsigned)low, ~0U, 0); }

INTERPOSED int shutdown(int fd, int how) {
  /* In a forked child shutdown() would end the listener for all processes. */
  if ((fd_flags(fd) & FLAG_INHERITED) != 0 && socket_listens(fd)) return 0;
  const struct listener* listener = listeners_held(fd);
  if (listener == NULL || !socket_listens(fd)) return libc.shutdown(fd, how);
  struct section section = enter_section();
  const bool revoked = revoke_descriptor(fd, listener);
  const int done = revoked ? libc.shutdown(fd, how) : -1;
  if (done != 0) section.error = revoked ? errno : ENOBUFS;
  if (revoked) {
    interrupt_waiting_threads();
    accept_waiters_wake_at(fd);
    wake_control_thread();
    released(listener);
  }
  leave_section(section);
  return done;
}

static bool may_replace(int fd) {
  if ((fd_flags(fd) & FLAG_HOST) == 0 || forked_child_runs()) return true;
  errno = EBUSY;
  return false;
}

static void copy_flags(int fd, int copy) {
  const unsigned flags = fd_flags_for_copy(fd);
  /* Even if the flags are equal: cached knowledge of the number becomes invalid. */
  if ((fd_flags(copy) | flags) != 0 && !forked_child_is_of_vfork()) fd_flags_set(copy, flags);
}

INTERPOSED int dup(int fd) {
  const int copy = libc.dup(fd);
  if (copy >= 0) copy_flags(fd, copy);
  return copy;
}

static int dup_as(int fd, int as, int flags) {
  if (fd == as) return flags < 0 ? libc.dup2(fd, as) : libc.dup3(fd, as, flags);
  /* Check first: a dup2() that fails must change nothing. */
  if (!may_replace(as) || libc.fcntl(fd, F_GETFD) < 0) return -1;
  const struct listener* replaced = fd_flags(as) != 0 && !forked_child_runs() ? listeners_held(as) : NULL;
  if (replaced != NULL) replace_fd_forget(as);
  const bool may_be_in_replacement =
      (fd_flags(as) & (FLAG_HELD | FLAG_HANDOFF)) != 0 && !forked_child_is_of_vfork();
  const int copy = may_be_in_replacement ? epoll_lock_dup(fd, as, flags)
                   : flags < 0           ? libc.dup2(fd, as)
                                         : libc.dup3(fd, as, flags);
  if (copy >= 0) copy_flags(fd, copy);
  if (copy >= 0 && replaced != NULL) after_release(as, replaced);
  return copy;
}

INTERPOSED int dup2(int fd, int as) { return dup_as(fd, as, -1); }
INTERPOSED int dup3(int fd, int as, int flags) {
  return (flags & ~O_CLOEXEC) != 0 ? libc.dup3(fd, as, flags) : dup_as(fd, as, flags);
}

/* Some libraries make system calls by syscall(). */
INTERPOSED long syscall(long number, ...) {
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(arguments, long);
  va_end(arguments);
  switch (number) {
    case SYS_close: return close((int)a[0]);
    case SYS_bind: return bind((int)a[0], (const struct sockaddr*)a[1], (socklen_t)a[2]);
    case SYS_listen: return listen((int)a[0], (int)a[1]);
    case SYS_accept: return accept((int)a[0], (struct sockaddr*)a[1], (socklen_t*)a[2]);
    case SYS_accept4: return accept4((int)a[0], (struct sockaddr*)a[1], (socklen_t*)a[2], (int)a[3]);
    case SYS_shutdown: return shutdown((int)a[0], (int)a[1]);
    case SYS_read: return read((int)a[0], (void*)a[1], (size_t)a[2]);
    case SYS_readv: return readv((int)a[0], (const struct iovec*)a[1], (int)a[2]);
    case SYS_recvfrom:
      return recvfrom((int)a[0], (void*)a[1], (size_t)a[2], (int)a[3], (struct sockaddr*)a[4],
                      (socklen_t*)a[5]);
    case SYS_recvmsg: return recvmsg((int)a[0], (struct msghdr*)a[1], (int)a[2]);
    case SYS_write: return write((int)a[0], (const void*)a[1], (size_t)a[2]);
    case SYS_writev: return writev((int)a[0], (const struct iovec*)a[1], (int)a[2]);
    case SYS_sendto:
      return sendto((int)a[0], (const void*)a[1], (size_t)a[2], (int)a[3], (const struct sockaddr*)a[4],
                    (socklen_t)a[5]);
    case SYS_sendmsg: return sendmsg((int)a[0], (const struct msghdr*)a[1], (int)a[2]);
    case SYS_sendfile: return sendfile((int)a[0], (int)a[1], (off_t*)a[2], (size_t)a[3]);
    case SYS_splice:
      return splice((int)a[0], (off64_t*)a[1], (int)a[2], (off64_t*)a[3], (size_t)a[4], (unsigned)a[5]);
    case SYS_io_uring_setup:
    case SYS_seccomp: control_thread_stay(); break;
    case SYS_prctl: return prctl((int)a[0], a[1], a[2], a[3], a[4]);
    default: break;
  }
  return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
