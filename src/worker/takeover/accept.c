/*
 * accept and accept4. Where a held listener does not block and the application takes it for blocking
 * (mode.h), the caller is made to wait here. The call itself is libc's, with what it was called with.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "adopt.h"
#include "calls.h"
#include "child.h"
#include "kick.h"
#include "loop.h"
#include "marks.h"
#include "mode.h"
#include "real.h"
#include "sleeper.h"
#include "special.h"
#include "traffic.h"
#include "wait.h"
#include "worker/readiness.h"

enum { ACCEPT_PLAIN = -1 };

static int accept_now(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  return flags == ACCEPT_PLAIN ? real.accept(fd, address, size) : real.accept4(fd, address, size, flags);
}

/* poll() never goes on after a handler, accept() does where every handler was installed so. */
static bool handlers_restart(void) {
  struct sigaction action;
  for (int number = 1; number < SIGRTMIN; ++number) {
    if (real.sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
      continue;
    if ((action.sa_flags & SA_RESTART) == 0) return false;
  }
  return true;
}

/* What a thread has found out about the listener that it accepts from: true until some mark changes. */
struct known {
  int fd;
  unsigned changes;
  int time_limit;
  bool may_sleep;      /* in the kernel */
  bool does_not_block; /* has been seen not to */
};

static __thread struct known known = {.fd = -1};

static inline bool has_been_known(int fd) {
  return known.fd == fd && known.changes == atomic_load(&marks_changes);
}

/* In the kernel a thread sees neither a connection to adopt nor that its listener is taken away: it has to be
 * woken. And a wait with a limit would not go on. */
static void decide(int fd) {
  known.may_sleep = known.time_limit < 0 && !adopt_has_begun() && sleeper_ready();
  if (!known.may_sleep) mode_end_blocking(fd);
}

/* Whether it is what its marks say. */
static bool is_known(int fd) {
  const unsigned changes = atomic_load(&marks_changes);
  if (has_been_known(fd)) return true;
  known.fd = -1;
  if ((marks_of(fd) & MARK_SEIZED) == 0 && calls_held(fd) == NULL) return false;
  known = (struct known){.fd = fd, .changes = changes, .time_limit = mode_time_limit(fd)};
  decide(fd);
  return true;
}

/* Somebody with whom it is shared may have ended that it blocks. */
static bool still_blocks(int fd) {
  if (known.does_not_block) return false;
  const int flags = real.fcntl(fd, F_GETFL);
  known.does_not_block = flags >= 0 && (flags & O_NONBLOCK) != 0;
  return !known.does_not_block;
}

/* Whether to look again; otherwise errno says what accept() shall. */
static bool wait_for_connection(int fd) {
  loop_blocks();
  const unsigned kicks = kick_count();
  struct pollfd wanted[2] = {{fd, POLLIN, 0}, {adopt_fd(fd), POLLIN, 0}};
  const int found = real.poll(wanted, 2, known.time_limit);
  if (found > 0) return true;
  if (found == 0) errno = EAGAIN;
  return found < 0 && errno == EINTR && (kick_count() != kicks || handlers_restart());
}

/* Of a Unix socket that does not block, as stand-ins are, accept() does not tell. */
static bool is_shut_down(int fd) {
  struct pollfd end = {fd, POLLRDHUP, 0};
  return real.poll(&end, 1, 0) > 0 && (end.revents & (POLLRDHUP | POLLHUP)) != 0;
}

/* Not now, or not any more. Whether to look again. */
static SELDOM bool may_wait(int fd) {
  const unsigned marks = marks_of(fd);
  if ((marks & MARK_SEIZED) != 0 && is_shut_down(fd)) {
    errno = EINVAL;
    return false;
  }
  if (wait_was_woken()) {
    /* Taken from it while it waited in poll() for nothing else: its event loop has to go on. */
    errno = ECONNABORTED;
    return false;
  }
  if ((marks & MARK_BLOCKING) == 0 || !is_known(fd) || still_blocks(fd)) {
    errno = EAGAIN;
    return false;
  }
  if ((marks & MARK_EPOLLED) != 0 || ((marks & MARK_POLLED) != 0 && wait_may_go_back())) {
    /* Another worker was faster. Waiting would hold up what else this thread waits for. */
    errno = ECONNABORTED;
    return false;
  }
  return wait_for_connection(fd);
}

static SELDOM void note_accept(int fd) {
  if (child_is_here()) child_uses(fd);
  if ((marks_of(fd) & MARK_HELD) != 0) readiness_seen(fd);
  if (adopt_has_begun() && (marks_of(fd) & MARK_HELD) != 0) adopt_note_accept();
}

static SELDOM void find_out(int fd) {
  if (has_been_known(fd))
    decide(fd);
  else
    is_known(fd);
}

static inline bool has_changed(void) { return known.may_sleep && (kick_is_blocked || sleeper_own == NULL); }

/* Whether it may be about to sleep in the kernel. */
static inline bool begin_to_wait(int fd) {
  if ((marks_of(fd) & (MARK_BLOCKING | MARK_POLLED | MARK_EPOLLED)) != MARK_BLOCKING) return false;
  if (aside_looks_for_loop()) loop_blocks();
  if (!has_been_known(fd) || has_changed()) find_out(fd);
  return known.fd == fd && known.may_sleep;
}

static SELDOM void note_connection(int connection) {
  /* The number had another use, which ended where nobody saw it. */
  if (marks_of(connection) != 0) marks_set(connection, 0);
  if (aside_looks_for_loop()) loop_accepts(connection);
}

/* It does not block, and nobody has tried to take it. */
static inline bool is_all(int fd) {
  return (marks_of(fd) & (MARK_BLOCKING | MARK_SEIZED)) == 0 && !special_is(SPECIAL_SEIZED);
}

static inline int take_one(int fd, struct sockaddr* address, socklen_t* size, int flags) {
  if (special_is(SPECIAL_CHILD | SPECIAL_READINESS | SPECIAL_ADOPTS)) note_accept(fd);
  const bool may_sleep = begin_to_wait(fd);
  for (;;) {
    int connection = -1;
    const unsigned kicks = kick_count();
    if (adopt_is_waiting() && (connection = adopt_accept(fd, address, size, flags)) >= 0) return connection;
    const int before = may_sleep ? sleeper_begin(fd) : SLEEPER_AWAKE;
    connection = accept_now(fd, address, size, flags);
    if (may_sleep) sleeper_end(before);
    if (connection >= 0) {
      if (special_is(SPECIAL_TRAFFIC)) traffic_accepted(connection);
      if (marks_of(connection) != 0 || aside_looks_for_loop()) note_connection(connection);
      return connection;
    }
    if (errno == EINTR && kick_count() != kicks) continue; /* with a time limit nothing goes on by itself */
    if (errno != EAGAIN || is_all(fd) || !may_wait(fd)) return -1;
  }
}

SEEN_CALL int accept(int fd, __SOCKADDR_ARG address, socklen_t* size) {
  return take_one(fd, address.__sockaddr__, size, ACCEPT_PLAIN);
}

SEEN_CALL int accept4(int fd, __SOCKADDR_ARG address, socklen_t* size, int flags) {
  return take_one(fd, address.__sockaddr__, size, flags);
}
