/* And epoll_wait, out of which a thread is knocked without noticing (worker/aside.h). The call itself is
 * libc's. */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "calls.h"
#include "kick.h"
#include "real.h"
#include "special.h"
#include "worker/clock.h"

__thread int loop_newest = -1;
static __thread bool has_registered;

void loop_accepts(int connection) {
  loop_newest = connection;
  has_registered = false;
}

void loop_registers(int fd) {
  if (fd == loop_newest) has_registered = true;
}

/* What has been made non-blocking holds nobody up. */
static bool may_block(int fd) {
  const int flags = real.fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

/* Who only has a look, and does not wait, may still become one. */
static void note(bool is_loop, bool waits) {
  if (is_loop)
    aside_note_loop();
  else if (waits && may_block(loop_newest))
    aside_come_in();
}

void loop_closes(int fd) {
  loop_newest = -1;
  if (may_block(fd)) aside_come_in();
}

void loop_polls(const struct pollfd* fds, nfds_t count, bool waits) {
  bool found = false;
  for (nfds_t i = 0; i < count; ++i) found = found || fds[i].fd == loop_newest;
  note(found, waits);
}

void loop_selects(int count, fd_set* const sets[3], bool waits) {
  bool found = false;
  for (int i = 0; i < 3; ++i)
    found = found || (sets[i] != NULL && loop_newest < count && FD_ISSET(loop_newest, sets[i]));
  note(found, waits);
}

void loop_blocks(void) {
  if (aside_looks_for_loop()) aside_come_in();
}

static SELDOM void pass(const sigset_t* mask, bool waits) {
  if (loop_is_looked_for()) note(has_registered, waits);
  aside_gate(mask);
}

static inline void pass_gate(const sigset_t* mask, bool waits) {
  if (special_is(SPECIAL_LOOP | SPECIAL_AT_GATES) || mask != NULL) pass(mask, waits);
}

static bool is_kicked(int found, unsigned kicks) {
  return found < 0 && errno == EINTR && kick_count() != kicks;
}

static int wait_once(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask) {
  return mask == NULL ? real.epoll_wait(epoll, events, count, limit)
                      : real.epoll_pwait(epoll, events, count, limit, mask);
}

/* After a kick. */
static SELDOM int wait_on(int epoll, struct epoll_event* events, int count, int limit,
                          const struct timespec* began, const sigset_t* mask) {
  for (;;) {
    pass_gate(mask, limit != 0);
    const unsigned kicks = kick_count();
    const int found = wait_once(epoll, events, count, clock_left(limit, began), mask);
    if (!is_kicked(found, kicks)) return found;
  }
}

SEEN_CALL int epoll_pwait(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask) {
  struct timespec began;
  clock_note(&began, limit);
  pass_gate(mask, limit != 0);
  const unsigned kicks = kick_count();
  const int found = wait_once(epoll, events, count, limit, mask);
  return is_kicked(found, kicks) ? wait_on(epoll, events, count, limit, &began, mask) : found;
}

SEEN_CALL int epoll_wait(int epoll, struct epoll_event* events, int count, int limit) {
  return epoll_pwait(epoll, events, count, limit, NULL);
}

SEEN_CALL int epoll_pwait2(int epoll, struct epoll_event* events, int count, const struct timespec* limit,
                           const sigset_t* mask) {
  const struct timespec end = limit != NULL ? clock_sum(clock_now(), *limit) : (struct timespec){0};
  struct timespec left = limit != NULL ? *limit : (struct timespec){0};
  for (;; left = clock_until(end)) {
    pass_gate(mask, limit == NULL || limit->tv_sec != 0 || limit->tv_nsec != 0);
    const unsigned kicks = kick_count();
    const int found = real.epoll_pwait2(epoll, events, count, limit != NULL ? &left : NULL, mask);
    if (!is_kicked(found, kicks)) return found;
  }
}
