/* epoll_ctl(); epoll_wait() and its variants. Each wait begins with a safe point (control/parking.h). A wait
 * that a signal of the worker host interrupts is repeated; the application does not see EINTR. */
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

#include "event_loop.h"
#include "worker/api/readiness.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/libc.h"
#include "worker/base/slow_path.h"
#include "worker/base/thread_interrupt.h"
#include "worker/control/parking.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/blocking_mode.h"
#include "worker/takeover/epoll_lock.h"
#include "worker/takeover/forked_child.h"

static COLD void note_registration(int fd) {
  if (forked_child_is_here()) forked_child_uses(fd);
  if (event_loop_is_looked_for()) event_loop_registers(fd);
}

static COLD int register_marked(int epoll, int operation, int fd, struct epoll_event* event) {
  if (operation == EPOLL_CTL_ADD) blocking_mode_begin_waits(fd);
  epoll_lock_share();
  const int done = libc.epoll_ctl(epoll, operation, fd, event);
  if (done == 0 && (fd_flags(fd) & FLAG_HELD) != 0) adopted_mirror(epoll, operation, fd, event);
  epoll_lock_unshare();
  if (done == 0 && operation == EPOLL_CTL_ADD && (fd_flags(fd) & FLAG_HANDOFF) == 0) {
    blocking_mode_note_wait(fd, FLAG_EPOLLED);
    readiness_seen(fd);
  }
  return done;
}

INTERPOSED int epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  if (slow_path_has(SLOW_CHILD | SLOW_LOOP) && operation == EPOLL_CTL_ADD) note_registration(fd);
  return (fd_flags(fd) & (FLAG_HELD | FLAG_REVOKED | FLAG_HANDOFF)) == 0
             ? libc.epoll_ctl(epoll, operation, fd, event)
             : register_marked(epoll, operation, fd, event);
}

static COLD void begin_slow(const sigset_t* mask) {
  if (event_loop_is_looked_for()) event_loop_epolls();
  safe_point(mask);
}

static inline void begin_wait(const sigset_t* mask) {
  if (slow_path_has(SLOW_LOOP | SLOW_NEEDED) || mask != NULL) begin_slow(mask);
}

static int wait_once(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask) {
  return mask == NULL ? libc.epoll_wait(epoll, events, count, limit)
                      : libc.epoll_pwait(epoll, events, count, limit, mask);
}

INTERPOSED int epoll_pwait(int epoll, struct epoll_event* events, int count, int limit,
                           const sigset_t* mask) {
  struct timespec began;
  clock_note(&began, limit);
  for (int left = limit;; left = clock_left(limit, &began)) {
    begin_wait(mask);
    const unsigned interrupts = interrupt_count();
    const int found = wait_once(epoll, events, count, left, mask);
    if (!interrupt_ended(found, interrupts)) return found;
  }
}

INTERPOSED int epoll_wait(int epoll, struct epoll_event* events, int count, int limit) {
  return epoll_pwait(epoll, events, count, limit, NULL);
}

INTERPOSED int epoll_pwait2(int epoll, struct epoll_event* events, int count, const struct timespec* limit,
                            const sigset_t* mask) {
  const struct timespec end = limit != NULL ? clock_sum(clock_now(), *limit) : (struct timespec){0};
  struct timespec left = limit != NULL ? *limit : (struct timespec){0};
  for (;; left = clock_until(end)) {
    begin_wait(mask);
    const unsigned interrupts = interrupt_count();
    const int found = libc.epoll_pwait2(epoll, events, count, limit != NULL ? &left : NULL, mask);
    if (!interrupt_ended(found, interrupts)) return found;
  }
}
