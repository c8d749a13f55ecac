#include "parking.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "control_thread.h"
#include "frames.h"
#include "wakeup_signal.h"
#include "worker/api/drain.h"
#include "worker/api/readiness.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/base/proc_self.h"
#include "worker/base/wake.h"
#include "worker/link/channel.h"
#include "worker/link/open_requests.h"
#include "worker/link/output.h"
#include "worker/retire/linger.h"
#include "worker/retire/orphan.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/io_uring.h"

enum {
  QUIET_MS = 500,
  /* Some children live as long as their parent. */
  CHILD_REST_MS = 10 * 1000,
  /* A server is ready within milliseconds, mostly; who is not has to be looked at (api/readiness.c,
     takeover/unseen_listeners.c). */
  READY_SOON_MS = 100,
};

atomic_bool control_thread_parked; /* changed with the lock */

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
  libc.pthread_sigmask(SIG_BLOCK, &all, &section->mask);
  pthread_mutex_lock(&lock);
}

static void leave_section(const struct section* section) {
  pthread_mutex_unlock(&lock);
  libc.pthread_sigmask(SIG_SETMASK, &section->mask, NULL);
  pthread_setcancelstate(section->cancel, NULL);
  errno = section->error;
}

/* With the lock. Whether it is there. */
static bool come_in(void) {
  if (!control_thread_is_parked()) return true;
  if (!control_thread_start()) return false;
  wakeup_signal_end();
  atomic_store(&control_thread_parked, false);
  return true;
}

/* It comes with the next knock, or at the next gate. */
static void need(void) {
  slow_path_add(SLOW_NEEDED);
  wakeup_signal_again();
}

/* With the lock. What cannot be done now is tried again. */
static bool try_to_come_in(void) {
  const bool is_in = come_in();
  if (is_in)
    slow_path_remove(SLOW_SAID | SLOW_NEEDED);
  else
    need();
  return is_in;
}

bool control_thread_unpark(void) {
  struct section section;
  if (!atomic_load(&control_thread_parked) || forked_child_runs()) return true;
  enter_section(&section);
  const bool is_in = try_to_come_in();
  leave_section(&section);
  return is_in;
}

void control_thread_stay(void) {
  struct section section;
  if ((atomic_load(&has_to_stay) && !control_thread_is_parked()) || forked_child_runs()) return;
  enter_section(&section);
  atomic_store(&has_to_stay, true);
  if (try_to_come_in()) slow_path_remove(SLOW_LOOP);
  leave_section(&section);
}

void control_thread_unpark_soon(const sigset_t* mask) {
  if (!atomic_load(&control_thread_parked) || forked_child_runs()) return;
  if (!wakeup_signal_may_meet_handler(mask)) {
    control_thread_unpark();
    return;
  }
  need();
}

bool safe_point_look(void) {
  struct section section;
  if (forked_child_runs()) return true;
  enter_section(&section);
  if (slow_path_has(SLOW_NEEDED)) try_to_come_in();
  const bool is_brief = control_thread_is_parked() && frames_serve_brief();
  if (is_brief) slow_path_remove(SLOW_SAID);
  /* Before it is ready it is knocked at for that; and as long as it cannot come. */
  if (is_brief && readiness_is_over() && !slow_path_has(SLOW_NEEDED)) wakeup_signal_no_more();
  const bool done = is_brief || try_to_come_in();
  leave_section(&section);
  return done;
}

void safe_point_pass(const sigset_t* mask) {
  if (mask != NULL && wakeup_signal_is_blocked(mask)) control_thread_stay();
  if (!control_thread_is_wanted()) return;
  /* Not ready for a while, and perhaps never found blocked. */
  if (readiness_is_over())
    safe_point_look();
  else
    control_thread_unpark();
}

void control_thread_note_loop(void) {
  if (slow_path_remove(SLOW_LOOP) && !control_thread_is_parked()) wake_control_thread();
}

static bool is_abandoned(void) {
  struct pollfd end = {channel_fd(), POLLIN, 0};
  return libc.poll(&end, 1, 0) > 0 && (end.revents & POLLHUP) != 0;
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
  if (!control_thread_is_parked() || forked_child_runs()) return;
  slow_path_add(SLOW_SAID);
  if (!frames_have_entered()) {
    if (is_abandoned()) libc._exit(LIVESWAP_EXIT_LOAD);
    if (was_blocked) control_thread_unpark();
    return;
  }
  end_if_hanging();
  if (was_blocked && readiness_is_over()) safe_point_look();
  if (was_blocked && !readiness_is_over()) control_thread_unpark();
  if (control_thread_is_parked() && (control_thread_is_wanted() || !readiness_is_over()))
    wakeup_signal_again();
}

/* What has been written for liveswap may count on it; what calls the kernel itself is seen by nobody else. */
static bool may_begin_without(void) {
  return strcmp(options->entry, "liveswap_main") != 0 && options->intercept == INTERCEPT_LIBC;
}

static bool is_readable(int fd) {
  struct pollfd something = {fd, POLLIN, 0};
  return libc.poll(&something, 1, 0) != 0;
}

bool control_thread_begin(const struct options* of_process) {
  static const struct wake_calls calls = {control_thread_unpark, control_thread_unpark_soon,
                                          control_thread_settle};
  wake_connect(&calls);
  options = of_process;
  is_ruled_out = options->mode != MODE_WORKER || !wakeup_signal_setup(channel_fd(), knocked);
  if (is_ruled_out) slow_path_remove(SLOW_LOOP);
  atomic_store(&control_thread_parked, true);
  return (!is_ruled_out && !atomic_load(&has_to_stay) && may_begin_without() && wakeup_signal_begin() &&
          !is_readable(channel_fd())) ||
         come_in();
}

/* In the name of whom the process has become; what has come before that was refused is looked at. */
static void rearm_signal(void) {
  if (!wakeup_signal_is_heard() || !wakeup_signal_begin())
    control_thread_unpark();
  else if (is_readable(channel_fd()))
    slow_path_add(SLOW_SAID);
}

void control_thread_recheck_signal(const sigset_t* before) {
  if (control_thread_is_parked() && !forked_child_runs() && !wakeup_signal_is_blocked(before) &&
      !wakeup_signal_is_heard())
    control_thread_unpark_soon(before);
}

void control_thread_await_readiness(void) {
  if (!control_thread_is_parked()) return;
  rearm_signal();
  if (control_thread_is_parked() && (control_thread_is_wanted() || !readiness_is_over()))
    wakeup_signal_in(control_thread_is_wanted() ? 1 : READY_SOON_MS);
}

void control_thread_settle(void) {
  if (!control_thread_is_parked()) return;
  rearm_signal();
  wakeup_signal_no_more();
  if (control_thread_is_parked() && control_thread_is_wanted()) wakeup_signal_in(1);
}

void control_thread_put_off(void) { quiet_since = clock_ms(); }

int64_t control_thread_due(void) {
  const bool may = !control_thread_looks_for_loop() && !is_ruled_out && readiness_is_over() && !drain_is_on();
  return may ? quiet_since + QUIET_MS : -1;
}

/* With the application's one thread and this. A filter may forbid to start another. */
static bool is_possible(void) {
  struct proc_self_status first;
  return !options_seccomp_is_on() && !io_uring_is_there() && proc_self_count_threads() == 2 &&
         proc_self_status(&first) && !first.is_over && !first.is_filtered &&
         wakeup_signal_is_heard_with(first.blocked);
}

/* With the lock. First of all it says that it is out: whoever asks a question, forks or lingers after that
 * has it come. */
static bool go_out(struct pollfd* waited_for, nfds_t count) {
  atomic_store(&control_thread_parked, true);
  const bool may =
      !atomic_load(&has_to_stay) && !open_requests_any() && !forked_child_may_report() && linger_has_none();
  /* From here on the kernel knocks for what comes; what has come before is seen at once. */
  if (may && wakeup_signal_begin() && libc.poll(waited_for, count, 0) == 0) return true;
  wakeup_signal_end();
  atomic_store(&control_thread_parked, false);
  return false;
}

bool control_thread_park(struct pollfd* waited_for, nfds_t count) {
  const int64_t due = control_thread_due();
  if (due < 0 || clock_ms() < due) return false;
  if (forked_child_may_report()) {
    quiet_since = clock_ms() + CHILD_REST_MS;
    return false;
  }
  is_ruled_out = atomic_load(&has_to_stay) || !is_possible();
  pthread_mutex_lock(&lock);
  const bool left = !is_ruled_out && go_out(waited_for, count);
  pthread_mutex_unlock(&lock);
  if (!left) control_thread_put_off();
  return left;
}
