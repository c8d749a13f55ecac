/*
 * Calls that hurt every generation when they meet a socket that is shared: they do what the application means
 * by them, to the application alone. And the host's own descriptors against loops that close whatever is
 * open.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "adopt.h"
#include "calls.h"
#include "child.h"
#include "descendants.h"
#include "kick.h"
#include "loop.h"
#include "marks.h"
#include "question.h"
#include "real.h"
#include "sleeper.h"
#include "swap.h"
#include "worker/aside.h"
#include "worker/channel.h"
#include "worker/control.h"
#include "worker/drain.h"
#include "worker/readiness.h"
#include "worker/seize.h"
#include "worker/self.h"

struct copies {
  uint64_t cookie;
  int count;
};

static void count_copy(int fd, void* context) {
  struct copies* copies = context;
  uint64_t cookie = 0;
  if (socket_cookie(fd, &cookie) && cookie == copies->cookie) ++copies->count;
}

/* One that was lent and that the application has waited for: nobody else serves this slot. A child may go on
 * with it. */
static bool is_given_up(const struct listener* lent) {
  return listeners_is_waited(lent) && !drain_is_on() && !descendants_may_be();
}

/* The application has given up a descriptor of it. With the last one the master may stop listening, or
 * replaces the worker. */
static void released(const struct listener* listener) {
  struct copies copies = {.cookie = listener->cookie};
  const bool is_lent = listener->name != NULL;
  if (seize_has_begun() || (is_lent && !is_given_up(listener))) return;
  if (!self_each_descriptor(count_copy, &copies) || copies.count > 0) return;
  if (!is_lent) adopt_forget(listener);
  listeners_closed(listener);
  readiness_review();
  channel_send((struct liveswap_frame){.kind = LIVESWAP_UNLISTEN}, (const char*)&copies.cookie,
               sizeof copies.cookie);
}

/* Neither a failure of what follows nor a cancelled thread changes what the application's call has done. */
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

/* A thread that waits for its connections would take one from those who still have it. */
static void given_up(int fd, const struct listener* listener) {
  const struct section section = enter_section();
  sleeper_wake_at(fd);
  released(listener);
  leave_section(section);
}

static SELDOM int close_marked(int fd) {
  if (child_is_of_vfork()) return real.close(fd);
  if ((marks_of(fd) & MARK_HOST) != 0) {
    errno = EBADF;
    return -1;
  }
  if ((marks_of(fd) & MARK_MOVED) != 0) return calls_close(fd);
  const struct listener* listener = calls_held(fd);
  if (listener != NULL) swap_forget(fd);
  marks_set(fd, 0);
  const int done = listener != NULL ? calls_close(fd) : real.close(fd);
  if (listener != NULL) given_up(fd, listener);
  return done;
}

SEEN_CALL int close(int fd) {
  if (aside_looks_for_loop() && fd == loop_newest && fd >= 0) loop_closes(fd);
  return marks_of(fd) == 0 ? real.close(fd) : close_marked(fd);
}

SEEN_CALL int close_range(unsigned first, unsigned last, int flags) {
  if (first > last || (flags & ~CLOSE_RANGE_UNSHARE) != 0) return real.close_range(first, last, flags);
  unsigned from = first;
  for (unsigned fd = first; fd <= last && fd < MARKS_MAX; ++fd) {
    if (marks_of((int)fd) == 0) continue;
    if (fd > from) real.close_range(from, fd - 1, flags);
    close_marked((int)fd);
    from = fd + 1;
  }
  return from <= last ? real.close_range(from, last, flags) : 0;
}

SEEN_CALL void closefrom(int low) { close_range(low < 0 ? 0 : (unsigned)low, ~0U, 0); }

SEEN_CALL int shutdown(int fd, int how) {
  /* What it ends for a child, it ends for everybody. */
  if ((marks_of(fd) & MARK_INHERITED) != 0 && calls_listens(fd)) return 0;
  const struct listener* listener = calls_held(fd);
  if (listener == NULL || !calls_listens(fd)) return real.shutdown(fd, how);
  struct section section = enter_section();
  const bool seized = seize_descriptor(fd, listener);
  const int done = seized ? real.shutdown(fd, how) : -1;
  if (done != 0) section.error = seized ? errno : ENOBUFS;
  if (seized) {
    kick_waiting_threads();
    sleeper_wake_at(fd);
    control_wake();
    released(listener);
  }
  leave_section(section);
  return done;
}

static bool may_replace(int fd) {
  if ((marks_of(fd) & MARK_HOST) == 0 || child_runs()) return true;
  errno = EBUSY;
  return false;
}

static void mark_copy(int fd, int copy) {
  const unsigned marks = marks_of(fd) & ~(unsigned)MARK_HOST;
  /* Also from one listener to another, so that what was found out about it is found out anew. */
  if ((marks_of(copy) | marks) != 0 && !child_is_of_vfork()) marks_set(copy, marks);
}

SEEN_CALL int dup(int fd) {
  const int copy = real.dup(fd);
  if (copy >= 0) mark_copy(fd, copy);
  return copy;
}

static int dup_as(int fd, int as, int flags) {
  if (fd == as) return flags < 0 ? real.dup2(fd, as) : real.dup3(fd, as, flags);
  /* Nothing is done for what is going to fail. */
  if (!may_replace(as) || real.fcntl(fd, F_GETFD) < 0) return -1;
  const struct listener* replaced = marks_of(as) != 0 && !child_runs() ? calls_held(as) : NULL;
  if (replaced != NULL) swap_forget(as);
  const bool may_be_swapped = (marks_of(as) & (MARK_HELD | MARK_MOVED)) != 0 && !child_is_of_vfork();
  const int copy = may_be_swapped ? calls_dup(fd, as, flags)
                   : flags < 0    ? real.dup2(fd, as)
                                  : real.dup3(fd, as, flags);
  if (copy >= 0) mark_copy(fd, copy);
  if (copy >= 0 && replaced != NULL) given_up(as, replaced);
  return copy;
}

SEEN_CALL int dup2(int fd, int as) { return dup_as(fd, as, -1); }
SEEN_CALL int dup3(int fd, int as, int flags) {
  return (flags & ~O_CLOEXEC) != 0 ? real.dup3(fd, as, flags) : dup_as(fd, as, flags);
}

/* Libraries call some of them without libc's functions. */
SEEN_CALL long syscall(long number, ...) {
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(arguments, long);
  va_end(arguments);
  switch (number) {
    case SYS_close:
      return close((int)a[0]);
    case SYS_bind:
      return bind((int)a[0], (const struct sockaddr*)a[1], (socklen_t)a[2]);
    case SYS_listen:
      return listen((int)a[0], (int)a[1]);
    case SYS_accept:
      return accept((int)a[0], (struct sockaddr*)a[1], (socklen_t*)a[2]);
    case SYS_accept4:
      return accept4((int)a[0], (struct sockaddr*)a[1], (socklen_t*)a[2], (int)a[3]);
    case SYS_shutdown:
      return shutdown((int)a[0], (int)a[1]);
    case SYS_read:
      return read((int)a[0], (void*)a[1], (size_t)a[2]);
    case SYS_readv:
      return readv((int)a[0], (const struct iovec*)a[1], (int)a[2]);
    case SYS_recvfrom:
      return recvfrom((int)a[0], (void*)a[1], (size_t)a[2], (int)a[3], (struct sockaddr*)a[4],
                      (socklen_t*)a[5]);
    case SYS_recvmsg:
      return recvmsg((int)a[0], (struct msghdr*)a[1], (int)a[2]);
    case SYS_write:
      return write((int)a[0], (const void*)a[1], (size_t)a[2]);
    case SYS_writev:
      return writev((int)a[0], (const struct iovec*)a[1], (int)a[2]);
    case SYS_sendto:
      return sendto((int)a[0], (const void*)a[1], (size_t)a[2], (int)a[3], (const struct sockaddr*)a[4],
                    (socklen_t)a[5]);
    case SYS_sendmsg:
      return sendmsg((int)a[0], (const struct msghdr*)a[1], (int)a[2]);
    case SYS_sendfile:
      return sendfile((int)a[0], (int)a[1], (off_t*)a[2], (size_t)a[3]);
    case SYS_splice:
      return splice((int)a[0], (off64_t*)a[1], (int)a[2], (off64_t*)a[3], (size_t)a[4], (unsigned)a[5]);
    case SYS_io_uring_setup:
    case SYS_seccomp:
      aside_stay();
      break;
    case SYS_prctl:
      return prctl((int)a[0], a[1], a[2], a[3], a[4]);
    default:
      break;
  }
  return real.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
