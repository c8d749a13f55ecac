#include "aside.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "drain.h"
#include "orphan.h"
#include "readiness.h"
#include "self.h"
#include "takeover/child.h"
#include "takeover/intercept.h"
#include "takeover/kick.h"
#include "takeover/question.h"
#include "takeover/real.h"
#include "takeover/uring.h"

enum {
  QUIET_MS = 500,
  /* Between kicks: a thread can enter its wait just behind one. */
  KICK_EVERY_MS = 1,
  KICK_EVERY_MS_AT_LAST = 1024,
  KEPT_MAX = 32,
};

atomic_bool aside_wanted;
atomic_bool aside_has_loop;

/* Of `is_out`, and of changes of `aside_wanted`. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_out;

/* Of the control thread. */
static int64_t quiet_since;
static bool is_ruled_out; /* once is for ever: who has a second thread, or a ring, will hardly be without again */

void aside_note_loop(void) {
  if (!atomic_exchange(&aside_has_loop, true)) control_wake();
}

void aside_put_off(void) { quiet_since = clock_ms(); }

int64_t aside_due(void) {
  const bool may = aside_knows_loop() && !is_ruled_out && readiness_is_over() && !drain_is_on();
  return may ? quiet_since + QUIET_MS : -1;
}

/* With the lock. */
static void let_in(void) {
  if (!is_out || !control_succeed()) return;
  is_out = false;
  atomic_store(&aside_wanted, false);
  pthread_cond_signal(&changed);
  control_wake(); /* it may not know yet that it was wanted */
}

bool aside_let_in(void) {
  const int error = errno;
  int cancel = 0;
  sigset_t all;
  sigset_t before;
  if (child_runs()) return true;
  /* Neither a handler that comes by here, too, nor a cancelled thread may keep the lock. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_mutex_lock(&lock);
  let_in();
  const bool is_in = !is_out;
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_setcancelstate(cancel, NULL);
  errno = error;
  return is_in;
}

static void count_one(int thread, void* count) {
  (void)thread;
  ++*(int*)count;
}

/* The application's one, and this. */
static bool are_two_threads(void) {
  int count = 0;
  return self_each_thread(count_one, &count) && count == 2;
}

/* A line of /proc/self/status, which is about the first thread. */
static unsigned long long status_of(const char* status, const char* name, int base) {
  const char* const found = strstr(status, name);
  return found != NULL ? strtoull(found + strlen(name), NULL, base) : ~0ULL;
}

/* One whose calls cannot be told would be kicked out of others, too, and notice; and a filter may forbid to start a thread. */
static bool can_be_kicked(void) {
  char status[4096];
  unsigned long argument = 0;
  if (self_call(getpid(), &argument) == SELF_CALL_UNKNOWN) return false;
  if (self_read("status", status, sizeof status) <= 0) return false;
  const unsigned long long kicks = ~0ULL << SIGRTMIN & ~0ULL >> (64 - (SIGRTMAX - 1));
  return (status_of(status, "\nSigBlk:\t", 16) & kicks) == 0 && status_of(status, "\nSeccomp:\t", 10) == 0;
}

static bool is_possible(void) { return !intercept_is_on() && are_two_threads() && !uring_is_there() && can_be_kicked(); }

static int compare(const void* one, const void* other) { return *(const int*)one - *(const int*)other; }

/* From the top, so that the kernel copies nothing that is to be closed at once: the connections are there. */
static bool keep_only(int* kept, int count) {
  qsort(kept, (size_t)count, sizeof *kept, compare);
  if (real.close_range((unsigned)kept[count - 1] + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0) return false;
  for (int i = count - 1; i > 0; --i)
    if (kept[i] - kept[i - 1] > 1) real.close_range((unsigned)kept[i - 1] + 1, (unsigned)kept[i] - 1, 0);
  return true;
}

/* The application's standard streams are its own to close; what neither reads nor writes keeps their numbers from use. */
static void put_in_place_of_streams(int fd) {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) real.dup2(fd, stream);
}

static bool leave_table(const struct pollfd* waited_for, nfds_t count) {
  int kept[KEPT_MAX] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  int* const own = kept + STDERR_FILENO + 1;
  int all = (int)(own - kept) + self_descriptors(own, KEPT_MAX - STDERR_FILENO - 1);
  const int of_proc = *own;
  for (nfds_t i = 0; i < count && all < KEPT_MAX; ++i)
    if (waited_for[i].fd >= 0) kept[all++] = waited_for[i].fd;
  if (!keep_only(kept, all)) return false;
  put_in_place_of_streams(of_proc);
  return true;
}

/* Who waits for an answer comes by no gate: it is in the list of questions before it looks at `is_out`. */
static bool try_to_leave(const struct pollfd* waited_for, nfds_t count) {
  pthread_mutex_lock(&lock);
  const bool may = !question_is_open();
  is_out = may && leave_table(waited_for, count);
  is_ruled_out = may && !is_out;
  const bool left = is_out;
  pthread_mutex_unlock(&lock);
  return left;
}

/* Whether it is in by then, on clock_ms(). */
static bool is_in_by(int64_t time) {
  const struct timespec end = {time / 1000, time % 1000 * 1000000};
  pthread_mutex_lock(&lock);
  while (is_out && pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &end) != ETIMEDOUT) continue;
  const bool is_in = !is_out;
  pthread_mutex_unlock(&lock);
  return is_in;
}

static bool want_in(void) {
  pthread_mutex_lock(&lock);
  const bool wanted = is_out;
  atomic_store(&aside_wanted, wanted);
  pthread_mutex_unlock(&lock);
  return wanted;
}

static bool is_at_end(int channel) {
  struct pollfd end = {channel, POLLIN, 0};
  return real.poll(&end, 1, 0) > 0 && (end.revents & POLLHUP) != 0;
}

/* A master would end a worker that hangs; of one that is gone this has the last word. */
static void wait_to_be_let_in(int channel, const struct options* options) {
  int64_t abandoned_since = -1;
  int64_t rest = KICK_EVERY_MS;
  do {
    kick_gates();
    if (abandoned_since < 0 && is_at_end(channel)) abandoned_since = clock_ms();
    if (abandoned_since >= 0) orphan_end_hanging(clock_ms() - abandoned_since, options->drain_limit_ms, options->term_grace_ms);
    rest = rest < KICK_EVERY_MS_AT_LAST ? 2 * rest : rest;
  } while (!is_in_by(clock_ms() + rest));
}

bool aside_step(struct pollfd* waited_for, nfds_t count, const struct options* options) {
  const int64_t due = aside_due();
  if (due < 0 || clock_ms() < due) return false;
  is_ruled_out = !is_possible();
  if (is_ruled_out || !try_to_leave(waited_for, count)) {
    aside_put_off();
    return false;
  }
  real.poll(waited_for, count, -1);
  if (want_in()) wait_to_be_let_in(waited_for[0].fd, options);
  /* What this table still holds ends now, not when the kernel gets to it. */
  real.close_range(0, ~0U, 0);
  return true;
}
