/*
 * accept and accept4.
 *
 * A listener that some generation has made non-blocking may be blocking for this application (FLAG_BLOCKING,
 * takeover/blocking_mode.h). accept() then polls the listener until a connection comes. Where the listener
 * still blocks in the kernel, the thread registers as an accept waiter first (takeover/accept_waiters.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "event_loop.h"
#include "poll_select.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/slow_path.h"
#include "worker/base/socket.h"
#include "worker/base/thread_interrupt.h"
#include "worker/control/parking.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/traffic.h"

enum { ACCEPT_PLAIN = -1 };

static int accept_now(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  return flags == ACCEPT_PLAIN ? libc.accept(fd, address, size) : libc.accept4(fd, address, size, flags);
}

/* poll() is never restarted after a signal; accept() is if all handlers have SA_RESTART. */
static bool handlers_restart(void) {
  struct sigaction action;
  for (int number = 1; number < SIGRTMIN; ++number) {
    if (libc.sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
      continue;
    if ((action.sa_flags & SA_RESTART) == 0) return false;
  }
  return true;
}

/* What the thread knows of a listener; valid until some descriptor flag changes. */
struct cached {
  int fd;
  unsigned changes;
  int time_limit;
  bool may_block;      /* accept() may block in the kernel */
  bool does_not_block; /* O_NONBLOCK was seen */
};

static __thread struct cached cached = {.fd = -1};

static inline bool is_current(int fd) {
  return cached.fd == fd && cached.changes == atomic_load(&fd_flags_changes);
}

/* A thread that blocks in accept() notices neither a connection to adopt nor a revoked listener, so an
 * interrupt must reach it. With a time limit the interrupted call would not be restarted. */
static void decide_how_to_wait(int fd) {
  cached.may_block = cached.time_limit < 0 && !adopted_has_begun() && accept_waiters_ready();
  if (cached.may_block) control_thread_stay(); /* a thread that sleeps there passes no safe point */
  else socket_end_blocking(fd);
}

/* Whether `fd` is still the listener that the flags say. */
static bool is_known(int fd) {
  const unsigned changes = atomic_load(&fd_flags_changes);
  if (is_current(fd)) return true;
  cached.fd = -1;
  if ((fd_flags(fd) & FLAG_REVOKED) == 0 && listeners_held(fd) == NULL) return false;
  cached = (struct cached){.fd = fd, .changes = changes, .time_limit = socket_receive_limit(fd)};
  decide_how_to_wait(fd);
  return true;
}

/* Whether the socket still blocks: another process that shares it may have set O_NONBLOCK. */
static bool still_blocking(int fd) {
  if (cached.does_not_block) return false;
  const int flags = libc.fcntl(fd, F_GETFL);
  cached.does_not_block = flags >= 0 && (flags & O_NONBLOCK) != 0;
  return !cached.does_not_block;
}

/* Polls as accept() would block. True: try again. False: errno is what accept() shall return. */
static bool wait_for_connection(int fd) {
  safe_point(NULL);
  const unsigned interrupts = interrupt_count();
  struct pollfd wanted[2] = {{fd, POLLIN, 0}, {adopted_fd(fd), POLLIN, 0}};
  const int found = libc.poll(wanted, 2, cached.time_limit);
  if (found > 0) return true;
  if (found == 0) errno = EAGAIN;
  return found < 0 && errno == EINTR && (interrupt_count() != interrupts || handlers_restart());
}

static bool fail(int error) {
  errno = error;
  return false;
}

/* After EAGAIN: waits where accept() would block. True: try again. False, with errno. */
static COLD bool may_wait(int fd) {
  const unsigned flags = fd_flags(fd);
  /* A non-blocking Unix socket, such as a placeholder, does not report a shutdown in accept(). */
  if ((flags & FLAG_REVOKED) != 0 && socket_is_ended(fd)) return fail(EINVAL);
  /* poll() woke the thread because the listener was revoked: the event loop must go on. */
  if (poll_select_was_woken()) return fail(ECONNABORTED);
  if ((flags & FLAG_BLOCKING) == 0 || !is_known(fd) || still_blocking(fd)) return fail(EAGAIN);
  /* Another worker has taken the connection that poll or epoll had reported. Waiting here would block the
   * event loop. */
  if ((flags & FLAG_EPOLLED) != 0 || ((flags & FLAG_POLLED) != 0 && poll_select_may_go_back(fd)))
    return fail(ECONNABORTED);
  return wait_for_connection(fd);
}

static COLD void note_accept(int fd) {
  if (forked_child_is_here()) forked_child_uses(fd);
  if ((fd_flags(fd) & FLAG_HELD) != 0) readiness_seen(fd);
  if (adopted_has_begun() && (fd_flags(fd) & FLAG_HELD) != 0) adopted_note_accept();
}

static COLD void refresh(int fd) {
  if (is_current(fd)) decide_how_to_wait(fd);
  else is_known(fd);
}

static inline bool cannot_sleep_any_more(void) {
  return cached.may_block && (interrupt_is_blocked || accept_waiters_own == NULL);
}

/* Whether the thread may block in the kernel. */
static inline bool begin_to_wait(int fd) {
  if ((fd_flags(fd) & (FLAG_BLOCKING | FLAG_POLLED | FLAG_EPOLLED)) != FLAG_BLOCKING) return false;
  if (!is_current(fd) || cannot_sleep_any_more()) refresh(fd);
  return cached.fd == fd && cached.may_block;
}

static COLD void note_connection(int connection) {
  /* Flags left from an earlier use of the number that ended unseen. */
  if (fd_flags(connection) != 0) fd_flags_set(connection, 0);
  if (control_thread_looks_for_loop()) event_loop_accepts(connection);
}

/* The common case: non-blocking, and no listener of this worker was revoked. */
static inline bool is_plain_nonblocking(int fd) {
  return (fd_flags(fd) & (FLAG_BLOCKING | FLAG_REVOKED)) == 0 && !slow_path_has(SLOW_REVOKED);
}

static inline int accept_one(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  if (slow_path_has(SLOW_CHILD | SLOW_READINESS | SLOW_ADOPTS)) note_accept(fd);
  const bool may_block = begin_to_wait(fd);
  for (;;) {
    int connection = -1;
    const unsigned interrupts = interrupt_count();
    if (adopted_is_waiting() && (connection = adopted_accept(fd, address, size, flags)) >= 0)
      return connection;
    const int before = may_block ? accept_waiters_begin(fd) : NOT_ACCEPTING;
    connection = accept_now(fd, address, size, flags);
    if (may_block) accept_waiters_end(before);
    if (connection >= 0) {
      if (slow_path_has(SLOW_TRAFFIC)) traffic_accepted(connection);
      if (!adopted_accepts_seen() && (fd_flags(fd) & FLAG_HELD) != 0) adopted_note_accept();
      if (fd_flags(connection) != 0 || control_thread_looks_for_loop()) note_connection(connection);
      return connection;
    }
    if (interrupt_ended(connection, interrupts))
      continue; /* a call with a time limit is not restarted by the kernel */
    if (errno != EAGAIN || is_plain_nonblocking(fd) || !may_wait(fd)) return -1;
  }
}

INTERPOSED int accept(int fd, __SOCKADDR_ARG address, socklen_t* size) {
  return accept_one(fd, address.__sockaddr__, size, ACCEPT_PLAIN);
}

INTERPOSED int accept4(int fd, __SOCKADDR_ARG address, socklen_t* size, int flags) {
  return accept_one(fd, address.__sockaddr__, size, flags);
}
