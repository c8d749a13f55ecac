#include "parking.h"

#include <errno.h>
#include <pthread.h>

#include "control_thread.h"
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
  /* With a forked child the control thread does not park. Check for children again only after this time: some
   * live as long as the application. */
  CHILD_REST_MS = 10 * 1000,
};

atomic_bool control_thread_parked; /* changed with the lock held */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct options* options;
/* Set with the lock held, for good: an application seldom gives up a second thread or a ring. */
static atomic_bool has_to_stay;

/* Used by the control thread only. */
static int64_t quiet_since;

/* Blocks signals and cancellation while the lock is held: a signal handler that passes a safe point would
 * deadlock. */
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

/* The caller has the lock. */
static bool start_if_parked(void) {
  if (!control_thread_is_parked()) return true;
  if (!control_thread_start()) {
    slow_path_add(SLOW_NEEDED);
    wakeup_signal_repeat();
    return false;
  }
  wakeup_signal_disarm();
  atomic_store(&control_thread_parked, false);
  return true;
}

bool control_thread_unpark(void) {
  struct section section;
  if (forked_child_runs()) return true;
  /* Cleared before the check, so that a request that comes later is not lost. */
  slow_path_remove(SLOW_NEEDED);
  if (!atomic_load(&control_thread_parked)) return true;
  enter_section(&section);
  const bool is_there = start_if_parked();
  leave_section(&section);
  return is_there;
}

void control_thread_stay(void) {
  struct section section;
  if ((atomic_load(&has_to_stay) && !control_thread_is_parked()) || forked_child_runs()) return;
  enter_section(&section);
  atomic_store(&has_to_stay, true);
  slow_path_remove(SLOW_LOOP);
  start_if_parked();
  leave_section(&section);
}

void safe_point_pass(const sigset_t* mask) {
  if (mask != NULL && wakeup_signal_is_blocked(mask)) control_thread_stay();
  if (slow_path_has(SLOW_NEEDED)) control_thread_unpark();
}

void control_thread_note_loop(void) {
  if (slow_path_remove(SLOW_LOOP)) wake_control_thread();
}

void control_thread_recheck_signal(void) {
  if (control_thread_is_parked() && !forked_child_runs() && !wakeup_signal_is_deliverable()) wake_if_parked();
}

/* While the master lives, the master ends a worker that passes no safe point; afterwards the signal handler
 * does. */
static void end_if_hanging(void) {
  static int64_t abandoned_since = -1;
  if (channel_has_master()) return;
  output_abandoned();
  if (abandoned_since < 0) abandoned_since = clock_ms();
  orphan_end_hanging(clock_ms() - abandoned_since, options->drain_limit_ms, options->term_grace_ms);
}

/* Runs in the handler of the wakeup signal: async-signal-safe calls only. */
static void note_wakeup(void) {
  if (!control_thread_is_parked() || forked_child_runs()) return;
  slow_path_add(SLOW_NEEDED);
  end_if_hanging();
  wakeup_signal_repeat();
}

bool control_thread_begin(const struct options* of_process) {
  options = of_process;
  if (options->mode != MODE_WORKER || !wakeup_signal_setup(channel_fd(), note_wakeup)) control_thread_stay();
  return control_thread_start();
}

void control_thread_put_off(void) { quiet_since = clock_ms(); }

int64_t control_thread_due(void) {
  const bool may = !control_thread_looks_for_loop() && !atomic_load(&has_to_stay) && readiness_is_shown() &&
                   !drain_is_on();
  return may ? quiet_since + QUIET_MS : -1;
}

/* Whether the process has two threads only, this one and the application's, and the signal would reach that
 * one. A seccomp filter may forbid new threads. */
static bool can_be_unparked(void) {
  struct proc_self_status first;
  return !options_seccomp_is_on() && !io_uring_is_there() && proc_self_count_threads() == 2 &&
         proc_self_status(&first) && !first.is_over && !first.is_filtered &&
         wakeup_signal_is_deliverable_with(first.blocked);
}

/* The caller has the lock. The control thread publishes that it is parked before it checks for work, so a
 * thread that adds work later sees that and unparks it. */
static bool park(struct pollfd* waited_for, nfds_t count) {
  atomic_store(&control_thread_parked, true);
  const bool may = !open_requests_any() && !forked_child_may_report() && linger_has_none();
  /* From here on the kernel signals new frames; earlier ones are received at once. */
  if (may && wakeup_signal_arm() && libc.poll(waited_for, count, 0) == 0) return true;
  wakeup_signal_disarm();
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
  pthread_mutex_lock(&lock);
  if (!can_be_unparked()) atomic_store(&has_to_stay, true);
  const bool parked = !atomic_load(&has_to_stay) && park(waited_for, count);
  pthread_mutex_unlock(&lock);
  if (!parked) control_thread_put_off();
  return parked;
}
