/*
 * poll, select and their variants, for four reasons:
 *
 *   - A wait for a listener shows that the application is ready.
 *   - A listener that is revoked during the wait must not be reported.
 *   - A listener with a connection to adopt is readable.
 *   - Each wait begins with a safe point (control/parking.h).
 *
 * If none applies, libc's function is called directly. A wait that a signal of the worker host interrupts is
 * repeated; the application does not see EINTR.
 */
#include "poll_select.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
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
#include "worker/takeover/forked_child.h"
#include "worker/takeover/revoke.h"

/* With more descriptors, a poll does not include the eventfds for connections to adopt: such a connection is
 * reported once another event or an interrupt ends the wait. */
enum { ADOPT_MAX = 1024 };

/* Listeners for which poll_select_may_go_back() was true since the last wait. */
enum { SENT_BACK_MAX = 32 };
static __thread int sent_back[SENT_BACK_MAX];
static __thread int sent_back_count;
static __thread bool woken;        /* for poll_select_was_woken() */
static __thread bool has_returned; /* return_to_event_loop() was true once */

bool poll_select_was_woken(void) {
  const bool was = woken;
  woken = false;
  return was;
}

bool poll_select_may_go_back(int fd) {
  slow_path_add(SLOW_SENT_BACK);
  for (int i = 0; i < sent_back_count; ++i)
    if (sent_back[i] == fd) return false;
  if (sent_back_count == SENT_BACK_MAX) return false;
  sent_back[sent_back_count++] = fd;
  return true;
}

/* Whether this wait needs more than libc's function. */
static inline bool needs_slow_path(const sigset_t* mask) {
  if (slow_path_has(SLOW_SENT_BACK)) sent_back_count = 0;
  return slow_path_has(SLOW_READINESS | SLOW_REVOKED | SLOW_ADOPTS | SLOW_CHILD | SLOW_NEEDED) ||
         (mask != NULL && control_thread_is_parked());
}

static bool is_time(const struct timespec* time) {
  return time == NULL || (time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
}

/* Notes a wait for `fd` to be readable. Returns whether that is a held listener. */
static bool note_wait(int fd) {
  if (forked_child_is_here()) forked_child_uses(fd);
  if ((fd_flags(fd) & FLAG_HELD) == 0) return false;
  blocking_mode_note_wait(fd, FLAG_POLLED);
  readiness_seen(fd);
  return true;
}

static bool note_polled(const struct pollfd* fds, nfds_t count) {
  bool found = false;
  for (nfds_t i = 0; i < count; ++i)
    if ((fds[i].events & POLLIN) != 0 && note_wait(fds[i].fd)) found = true;
  return found;
}

/* Whether the wait is for a held listener to be readable. */
static bool is_for_held(const struct pollfd* wanted) {
  return (wanted->events & POLLIN) != 0 && (fd_flags(wanted->fd) & FLAG_HELD) != 0;
}

/* Events of a listener that was replaced during the wait belong to a former socket: poll the descriptor
 * again. A connection to adopt makes its listener readable. Returns the number of descriptors with events. */
static int correct_polled(struct pollfd* fds, nfds_t count) {
  int events = 0;
  for (struct pollfd* each = fds; each < fds + count; ++each) {
    if (each->revents != 0 && (fd_flags(each->fd) & FLAG_REVOKED) != 0) {
      struct pollfd now_there = {each->fd, each->events, 0};
      each->revents = libc.poll(&now_there, 1, 0) > 0 ? now_there.revents : 0;
    }
    if (adopted_is_waiting() && is_for_held(each) && adopted_has_one(each->fd)) each->revents |= POLLIN;
    events += each->revents != 0;
  }
  return events;
}

/*
 * A thread that polls only revoked listeners may be in a library's function that polls and then calls
 * accept(). Left in that poll, the thread might never return to its event loop. So poll reports the listener
 * once, and accept() then fails with ECONNABORTED (interpose/accept.c). Returns whether this is that one
 * time.
 */
static bool return_to_event_loop(struct pollfd* fds, nfds_t count) {
  if (has_returned || count == 0) return false;
  for (nfds_t i = 0; i < count; ++i)
    if ((fd_flags(fds[i].fd) & FLAG_REVOKED) == 0) return false;
  woken = has_returned = true;
  for (nfds_t i = 0; i < count; ++i) fds[i].revents = i == 0 ? POLLIN : 0;
  return true;
}

/* As ppoll(), but also returns for a connection to adopt. */
static int poll_and_adopt(struct pollfd* fds, nfds_t count, const struct timespec* timeout,
                          const sigset_t* mask) {
  struct pollfd more[2 * ADOPT_MAX];
  if (count > ADOPT_MAX) return libc.ppoll(fds, count, timeout, mask);
  memcpy(more, fds, count * sizeof *fds);
  nfds_t width = count;
  for (nfds_t i = 0; i < count; ++i) {
    const int wake_fd = is_for_held(&fds[i]) ? adopted_fd(fds[i].fd) : -1;
    if (wake_fd >= 0) more[width++] = (struct pollfd){wake_fd, POLLIN, 0};
  }
  const int found = libc.ppoll(more, width, timeout, mask);
  for (nfds_t i = 0; i < count; ++i) fds[i].revents = found > 0 ? more[i].revents : 0;
  return found;
}

/* A wait until `end`; NULL: without end. */
static int watched_poll(struct pollfd* fds, nfds_t count, const struct timespec* end, const sigset_t* mask) {
  for (;;) {
    if (return_to_event_loop(fds, count)) return 1;
    const bool held = note_polled(fds, count);
    safe_point(mask);
    const unsigned interrupts = interrupt_count();
    const struct timespec left = end != NULL ? clock_until(*end) : (struct timespec){0};
    const struct timespec* const limit = end != NULL ? &left : NULL;
    const int found = held && adopted_has_begun() ? poll_and_adopt(fds, count, limit, mask)
                                                  : libc.ppoll(fds, count, limit, mask);
    if (found == 0 || (found < 0 && !interrupt_ended(found, interrupts))) return found;
    if (found < 0)
      for (nfds_t i = 0; i < count; ++i) fds[i].revents = 0;
    const int events = correct_polled(fds, count);
    if (events > 0) return events;
  }
}

/* For a wait that began as libc's own: whether to repeat it, because a signal of the worker host has
 * interrupted it, or because listeners were revoked or got connections to adopt meanwhile. A signal of the
 * application ends the wait as usual. */
static bool must_repeat(int found, unsigned interrupts) {
  return found < 0 ? interrupt_count() != interrupts : found > 0 && slow_path_has(SLOW_REVOKED | SLOW_ADOPTS);
}

static COLD void look_for_loop(struct pollfd* fds, nfds_t count) {
  if (event_loop_is_looked_for()) event_loop_polls(fds, count);
}

/* A wait of `timeout` ms; negative: without end. */
static COLD int poll_slow(struct pollfd* fds, nfds_t count, int timeout) {
  if (timeout < 0) return watched_poll(fds, count, NULL, NULL);
  const struct timespec end = clock_sum(clock_now(), clock_timespec(timeout));
  return watched_poll(fds, count, &end, NULL);
}

INTERPOSED int poll(struct pollfd* fds, nfds_t count, int timeout) {
  if (control_thread_looks_for_loop()) look_for_loop(fds, count);
  if (needs_slow_path(NULL)) return poll_slow(fds, count, timeout);
  struct timespec began;
  clock_note(&began, timeout);
  const unsigned interrupts = interrupt_count();
  const int found = libc.poll(fds, count, timeout);
  return must_repeat(found, interrupts) ? poll_slow(fds, count, clock_left(timeout, &began)) : found;
}

INTERPOSED int ppoll(struct pollfd* fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask) {
  if (control_thread_looks_for_loop()) look_for_loop(fds, count);
  const struct timespec end = timeout != NULL ? clock_sum(clock_now(), *timeout) : (struct timespec){0};
  if (!needs_slow_path(mask) || !is_time(timeout)) {
    const unsigned interrupts = interrupt_count();
    const int found = libc.ppoll(fds, count, timeout, mask);
    if (!must_repeat(found, interrupts)) return found;
  }
  return watched_poll(fds, count, timeout != NULL ? &end : NULL, mask);
}

/* Variants that -D_FORTIFY_SOURCE calls. */
INTERPOSED int __poll_chk(struct pollfd* fds, nfds_t count, int timeout, size_t size) {
  if (size / sizeof *fds < count) abort();
  return poll(fds, count, timeout);
}

INTERPOSED int __ppoll_chk(struct pollfd* fds, nfds_t count, const struct timespec* timeout,
                           const sigset_t* mask, size_t size) {
  if (size / sizeof *fds < count) abort();
  return ppoll(fds, count, timeout, mask);
}

/* The sets of select(): for reading, writing, failing. */
enum { SETS = 3 };

/* Some applications allocate only the words that `count` needs. NULL: a set that is not asked for. */
static void copy_sets(fd_set* const to[SETS], fd_set* const from[SETS], int count) {
  const size_t size = ((size_t)count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);
  for (int i = 0; i < SETS; ++i)
    if (to[i] != NULL && from[i] != NULL) memcpy(to[i], from[i], size);
}

static void note_selected(int count, const fd_set* in) {
  for (int fd = 0; in != NULL && fd < count; ++fd)
    if (FD_ISSET(fd, in)) note_wait(fd);
}

/* As correct_polled(). Returns the change in the number of events. */
static int correct_selected(int count, fd_set* in, const fd_set* wanted) {
  int change = 0;
  for (int fd = 0; wanted != NULL && fd < count; ++fd) {
    if (fd_flags(fd) == 0 || !FD_ISSET(fd, wanted)) continue;
    struct pollfd now_there = {fd, POLLIN, 0};
    const bool readable = (fd_flags(fd) & FLAG_HELD) != 0 && adopted_is_waiting() && adopted_has_one(fd);
    if (FD_ISSET(fd, in) && (fd_flags(fd) & FLAG_REVOKED) != 0 && libc.poll(&now_there, 1, 0) == 0) {
      FD_CLR(fd, in);
      --change;
    } else if (!FD_ISSET(fd, in) && readable) {
      FD_SET(fd, in);
      ++change;
    }
  }
  return change;
}

/* The eventfd for connections to adopt at `fd`; -1: none, or no set has room for it. */
static int wake_fd_for(int fd, const fd_set* wanted) {
  const int wake_fd = (fd_flags(fd) & FLAG_HELD) != 0 && FD_ISSET(fd, wanted) ? adopted_fd(fd) : -1;
  return wake_fd < FD_SETSIZE ? wake_fd : -1;
}

/* Adds these eventfds. Returns the new width. */
static int add_wake_fds(int count, const fd_set* wanted, fd_set* in) {
  int width = count;
  for (int fd = 0; wanted != NULL && adopted_has_begun() && fd < count; ++fd) {
    const int wake_fd = wake_fd_for(fd, wanted);
    if (wake_fd < 0) continue;
    FD_SET(wake_fd, in);
    if (wake_fd >= width) width = wake_fd + 1;
  }
  return width;
}

/* Removes these eventfds from the result. Returns the number of remaining events. */
static int remove_wake_fds(int count, const fd_set* wanted, fd_set* in, int events) {
  for (int fd = 0; wanted != NULL && adopted_has_begun() && fd < count; ++fd) {
    const int wake_fd = wake_fd_for(fd, wanted);
    if (wake_fd < 0 || !FD_ISSET(wake_fd, in)) continue;
    FD_CLR(wake_fd, in);
    --events;
  }
  return events;
}

/* One round of watched_select(): fills `found` and returns the number of events; -1, with errno. */
static int select_once(int count, fd_set* const found[SETS], fd_set* const sets[SETS],
                       const struct timespec* limit, const sigset_t* mask) {
  fd_set* asked[SETS];
  for (int i = 0; i < SETS; ++i) {
    FD_ZERO(found[i]);
    asked[i] = sets[i] != NULL ? found[i] : NULL;
  }
  copy_sets(found, sets, count);
  const int width = add_wake_fds(count, sets[0], found[0]);
  const int events = libc.pselect(width, asked[0], asked[1], asked[2], limit, mask);
  return events > 0 ? remove_wake_fds(count, sets[0], found[0], events) : events;
}

/* A wait until `end`; NULL: without end. */
static int watched_select(int count, fd_set* const sets[SETS], const struct timespec* end,
                          const sigset_t* mask) {
  fd_set sets_found[SETS];
  fd_set* const found[SETS] = {&sets_found[0], &sets_found[1], &sets_found[2]};
  for (;;) {
    note_selected(count, sets[0]);
    safe_point(mask);
    const unsigned interrupts = interrupt_count();
    const struct timespec left = end != NULL ? clock_until(*end) : (struct timespec){0};
    int events = select_once(count, found, sets, end != NULL ? &left : NULL, mask);
    if (events < 0) {
      if (!interrupt_ended(events, interrupts)) return events;
      memset(sets_found, 0, sizeof sets_found);
      events = 0;
    }
    events += correct_selected(count, found[0], sets[0]);
    const struct timespec rest = end != NULL ? clock_until(*end) : (struct timespec){.tv_sec = 1};
    if (events == 0 && (rest.tv_sec > 0 || rest.tv_nsec > 0)) continue;
    copy_sets(sets, found, count);
    return events;
  }
}

/* As pselect(); `end`: when `timeout` will have passed. */
static int any_select(int count, fd_set* const sets[SETS], const struct timespec* timeout,
                      const struct timespec* end, const sigset_t* mask) {
  if (event_loop_is_looked_for()) event_loop_selects(count, sets);
  if (!needs_slow_path(mask) || count < 0 || !is_time(timeout)) {
    fd_set before[SETS];
    fd_set* const saved[SETS] = {&before[0], &before[1], &before[2]};
    const unsigned interrupts = interrupt_count();
    copy_sets(saved, sets, count < 0 ? 0 : count);
    const int found = libc.pselect(count, sets[0], sets[1], sets[2], timeout, mask);
    if (!must_repeat(found, interrupts)) return found;
    copy_sets(sets, saved, count);
  }
  return watched_select(count, sets, timeout != NULL ? end : NULL, mask);
}

INTERPOSED int select(int count, fd_set* in, fd_set* out, fd_set* failed, struct timeval* timeout) {
  /* Only the application knows the size of sets beyond FD_SETSIZE. */
  if (count > FD_SETSIZE) {
    control_thread_stay(); /* libc's select would show the wakeup signal's EINTR */
    return libc.select(count, in, out, failed, timeout);
  }
  struct timespec time = {0};
  if (timeout != NULL) {
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return libc.select(count, in, out, failed, timeout);
    /* Carries microseconds above a million over, as libc does. */
    time = (struct timespec){timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000};
  }
  const struct timespec end = clock_sum(clock_now(), time);
  fd_set* const sets[SETS] = {in, out, failed};
  const int found = any_select(count, sets, timeout != NULL ? &time : NULL, &end, NULL);
  if (timeout != NULL) {
    /* Linux stores the remaining time. */
    const struct timespec left = clock_until(end);
    *timeout = (struct timeval){left.tv_sec, left.tv_nsec / 1000};
  }
  return found;
}

INTERPOSED int pselect(int count, fd_set* in, fd_set* out, fd_set* failed, const struct timespec* timeout,
                       const sigset_t* mask) {
  if (count > FD_SETSIZE) {
    control_thread_stay();
    return libc.pselect(count, in, out, failed, timeout, mask);
  }
  fd_set* const sets[SETS] = {in, out, failed};
  const struct timespec end = timeout != NULL ? clock_sum(clock_now(), *timeout) : (struct timespec){0};
  return any_select(count, sets, timeout, &end, mask);
}
