/* epoll_wait, out of which a thread is knocked without noticing (worker/aside.h). The call itself is libc's. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "worker/aside.h"
#include "worker/clock.h"
#include "calls.h"
#include "kick.h"
#include "real.h"

static bool is_kicked(int found, unsigned kicks) { return found < 0 && errno == EINTR && kick_count() != kicks; }

/* Of a time limit in ms, whose wait began then. */
static int left_of(int limit, int64_t began) {
  const int64_t elapsed = clock_coarse_ms() - began - CLOCK_COARSE_STEP_MS;
  return limit < 0 || elapsed <= 0 ? limit : elapsed < limit ? (int)(limit - elapsed) : 0;
}

SEEN_CALL int epoll_wait(int epoll, struct epoll_event* events, int count, int limit) {
  return epoll_pwait(epoll, events, count, limit, NULL);
}

SEEN_CALL int epoll_pwait(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask) {
  const int64_t began = limit > 0 ? clock_coarse_ms() : 0;
  for (int left = limit;; left = left_of(limit, began)) {
    aside_gate(mask);
    const unsigned kicks = kick_count();
    const int found = mask == NULL ? real.epoll_wait(epoll, events, count, left)
                                   : real.epoll_pwait(epoll, events, count, left, mask);
    if (!is_kicked(found, kicks)) return found;
  }
}

SEEN_CALL int epoll_pwait2(int epoll, struct epoll_event* events, int count, const struct timespec* limit,
                           const sigset_t* mask) {
  const struct timespec end = limit != NULL ? clock_sum(clock_now(), *limit) : (struct timespec){0};
  struct timespec left = limit != NULL ? *limit : (struct timespec){0};
  for (;; left = clock_until(end)) {
    aside_gate(mask);
    const unsigned kicks = kick_count();
    const int found = real.epoll_pwait2(epoll, events, count, limit != NULL ? &left : NULL, mask);
    if (!is_kicked(found, kicks)) return found;
  }
}
