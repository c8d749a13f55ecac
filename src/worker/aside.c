#include "aside.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "clock.h"
#include "control.h"
#include "drain.h"
#include "knock.h"
#include "linger.h"
#include "orphan.h"
#include "output.h"
#include "readiness.h"
#include "self.h"
#include "takeover/child.h"
#include "takeover/intercept.h"
#include "takeover/question.h"
#include "takeover/real.h"
#include "takeover/uring.h"

enum {
  QUIET_MS = 500,
  /* Some children live as long as their parent. */
  CHILD_REST_MS = 10 * 1000,
  /* A server is ready within milliseconds, mostly; who is not has to be looked at (readiness.c,
     takeover/stray.c). */
  READY_SOON_MS = 100,
};

atomic_bool aside_out; /* changed with the lock */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct options* options;
static atomic_bool has_to_stay; /* set with the lock */

/* Of the control thread. */
static int64_t quiet_since;
static bool
    is_ruled_out; /* once is for ever: who has a second thread, or a ring, will hardly be without again */

/* Neither a handler that comes by here, too, nor a cancelled thread may find or leave the lock taken. */
struct section {
  sigset_t mask;
  int cancel;
  int error;
};

static void enter_section(struct section* section) {
  sigset_t all;
  section->error = errno;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &section->cancel);
  sigfillset(&all);
  real.pthread_sigmask(SIG_BLOCK, &all, &section->mask);
  pthread_mutex_lock(&lock);
}

static void leave_section(const struct section* section) {
  pthread_mutex_unlock(&lock);
  real.pthread_sigmask(SIG_SETMASK, &section->mask, NULL);
  pthread_setcancelstate(section->cancel, NULL);
  errno = section->error;
}

/* With the lock. Whether it is there. */
static bool come_in(void) {
  if (!aside_is_out()) return true;
  if (!control_begin()) return false;
  knock_end();
  atomic_store(&aside_out, false);
  return true;
}

/* It comes with the next knock, or at the next gate. */
static void need(void) {
  special_begin(SPECIAL_NEEDED);
  knock_again();
}

/* With the lock. What cannot be done now is tried again. */
static bool try_to_come_in(void) {
  const bool is_in = come_in();
  if (is_in)
    special_end(SPECIAL_SAID | SPECIAL_NEEDED);
  else
    need();
  return is_in;
}

bool aside_come_in(void) {
  struct section section;
  if (!atomic_load(&aside_out) || child_runs()) return true;
  enter_section(&section);
  const bool is_in = try_to_come_in();
  leave_section(&section);
  return is_in;
}

void aside_stay(void) {
  struct section section;
  if ((atomic_load(&has_to_stay) && !aside_is_out()) || child_runs()) return;
  enter_section(&section);
  atomic_store(&has_to_stay, true);
  if (try_to_come_in()) special_end(SPECIAL_LOOP);
  leave_section(&section);
}

void aside_come_soon(const sigset_t* mask) {
  if (!atomic_load(&aside_out) || child_runs()) return;
  if (!knock_may_meet_handler(mask)) {
    aside_come_in();
    return;
  }
  need();
}

bool aside_look(void) {
  struct section section;
  if (child_runs()) return true;
  enter_section(&section);
  if (special_is(SPECIAL_NEEDED)) try_to_come_in();
  const bool is_little = aside_is_out() && control_serve_little();
  if (is_little) special_end(SPECIAL_SAID);
  /* Before it is ready it is knocked at for that; and as long as it cannot come. */
  if (is_little && readiness_is_over() && !special_is(SPECIAL_NEEDED)) knock_no_more();
  const bool done = is_little || try_to_come_in();
  leave_section(&section);
  return done;
}

void aside_pass(const sigset_t* mask) {
  if (mask != NULL && knock_is_blocked(mask)) aside_stay();
  if (!aside_is_wanted()) return;
  /* Not ready for a while, and perhaps never found blocked. */
  if (readiness_is_over())
    aside_look();
  else
    aside_come_in();
}

void aside_note_loop(void) {
  if (special_end(SPECIAL_LOOP) && !aside_is_out()) control_wake();
}

static bool is_abandoned(void) {
  struct pollfd end = {channel_fd(), POLLIN, 0};
  return real.poll(&end, 1, 0) > 0 && (end.revents & POLLHUP) != 0;
}

/* A master would end a worker that hangs; of one that is gone this has the last word. */
static void end_if_hanging(void) {
  static int64_t abandoned_since = -1;
  if (!is_abandoned()) return;
  output_abandoned();
  if (abandoned_since < 0) abandoned_since = clock_ms();
  orphan_end_hanging(clock_ms() - abandoned_since, options->drain_limit_ms, options->term_grace_ms);
}

/* In the handler. */
static void knocked(bool was_blocked) {
  if (!aside_is_out() || child_runs()) return;
  special_begin(SPECIAL_SAID);
  if (!control_has_entered()) {
    if (is_abandoned()) real._exit(LIVESWAP_EXIT_LOAD);
    if (was_blocked) aside_come_in();
    return;
  }
  end_if_hanging();
  if (was_blocked && readiness_is_over()) aside_look();
  if (was_blocked && !readiness_is_over()) aside_come_in();
  if (aside_is_out() && (aside_is_wanted() || !readiness_is_over())) knock_again();
}

/* What has been written for liveswap may count on it; what calls the kernel itself is seen by nobody else. */
static bool may_begin_without(void) {
  return strcmp(options->entry, "liveswap_main") != 0 && options->intercept == INTERCEPT_LIBC;
}

static bool has_come(int fd) {
  struct pollfd something = {fd, POLLIN, 0};
  return real.poll(&something, 1, 0) != 0;
}

bool aside_begin(const struct options* of_process) {
  options = of_process;
  is_ruled_out = options->mode != MODE_WORKER || !knock_setup(channel_fd(), knocked);
  if (is_ruled_out) special_end(SPECIAL_LOOP);
  atomic_store(&aside_out, true);
  return (!is_ruled_out && !atomic_load(&has_to_stay) && may_begin_without() && knock_begin() &&
          !has_come(channel_fd())) ||
         come_in();
}

/* In the name of whom the process has become; what has come before that was refused is looked at. */
static void be_heard(void) {
  if (!knock_is_heard() || !knock_begin())
    aside_come_in();
  else if (has_come(channel_fd()))
    special_begin(SPECIAL_SAID);
}

void aside_recheck(const sigset_t* before) {
  if (aside_is_out() && !child_runs() && !knock_is_blocked(before) && !knock_is_heard())
    aside_come_soon(before);
}

void aside_await_readiness(void) {
  if (!aside_is_out()) return;
  be_heard();
  if (aside_is_out() && (aside_is_wanted() || !readiness_is_over()))
    knock_in(aside_is_wanted() ? 1 : READY_SOON_MS);
}

void aside_settle(void) {
  if (!aside_is_out()) return;
  be_heard();
  knock_no_more();
  if (aside_is_out() && aside_is_wanted()) knock_in(1);
}

void aside_put_off(void) { quiet_since = clock_ms(); }

int64_t aside_due(void) {
  const bool may = !aside_looks_for_loop() && !is_ruled_out && readiness_is_over() && !drain_is_on();
  return may ? quiet_since + QUIET_MS : -1;
}

/* With the application's one thread and this. A filter may forbid to start another. */
static bool is_possible(void) {
  struct self_status first;
  return !intercept_is_on() && !uring_is_there() && self_count_threads() == 2 && self_status(&first) &&
         !first.is_over && !first.is_filtered && knock_is_heard_with(first.blocked);
}

/* With the lock. First of all it says that it is out: whoever asks a question, forks or lingers after that
 * has it come. */
static bool go_out(struct pollfd* waited_for, nfds_t count) {
  atomic_store(&aside_out, true);
  const bool may =
      !atomic_load(&has_to_stay) && !question_is_open() && !child_may_report() && linger_has_none();
  /* From here on the kernel knocks for what comes; what has come before is seen at once. */
  if (may && knock_begin() && real.poll(waited_for, count, 0) == 0) return true;
  knock_end();
  atomic_store(&aside_out, false);
  return false;
}

bool aside_leave(struct pollfd* waited_for, nfds_t count) {
  const int64_t due = aside_due();
  if (due < 0 || clock_ms() < due) return false;
  if (child_may_report()) {
    quiet_since = clock_ms() + CHILD_REST_MS;
    return false;
  }
  is_ruled_out = atomic_load(&has_to_stay) || !is_possible();
  pthread_mutex_lock(&lock);
  const bool left = !is_ruled_out && go_out(waited_for, count);
  pthread_mutex_unlock(&lock);
  if (!left) aside_put_off();
  return left;
}
