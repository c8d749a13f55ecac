#include <errno.h>
#include <limits.h>
#include "frames.h"
#include "parking.h"
#include "words.h"
#include "worker/api/drain.h"
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/base/wake.h"
#include "worker/link/channel.h"
#include "worker/link/open_requests.h"
#include "worker/link/output.h"
#include "worker/retire/handoff_relay.h"
#include "worker/retire/linger.h"
#include "worker/retire/orphan.h"
#include "worker/retire/retire.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/connection_count.h"
#include "worker/takeover/forked_child.h"
#include "worker/takeover/give_back.h"
#include "worker/takeover/readiness_watch.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/unseen_listeners.h"

/* The deepest call path, in takeover/revoke.c, needs 8 KiB. glibc puts the static TLS of the process on the
 * same stack. */
enum { STACK_SIZE = 256 * 1024 };

/* CPUs of the process at the start; empty, and not used, if the type is too small for them. */
static cpu_set_t affinity;

/* What does work that is due and returns when to call again. */
static int64_t (*const steps[])(void) = {orphan_step,          revoke_step,           retire_step,
                                         handoff_step,         adopted_step,          give_back_step,
                                         readiness_watch_step, unseen_listeners_step, words_step};

/* The earlier of two times; -1 means never. */
static int64_t earlier(int64_t one, int64_t other) {
  return one < 0 || (other >= 0 && other < one) ? other : one;
}

/* The timeout for a poll() that shall end at `end`; -1: never. */
static int timeout_until(int64_t end) {
  if (end < 0) return -1;
  const int64_t left = end - clock_ms();
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* `before` is the previous control thread, which has parked, or NULL. The application may have changed the
 * priority and CPUs of the thread that starts this one; both are reset. */
static void* control(void* before) {
  if (before != NULL) pthread_join(*(const pthread_t*)before, NULL);
  pthread_setname_np(pthread_self(), "lsw-control");
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  sched_setaffinity(0, sizeof affinity, &affinity);
  control_thread_put_off();
  bool connected = true;
  int64_t count_due = -1;
  for (;;) {
    if (connected && drain_is_on() && clock_ms() >= count_due) count_due = connection_count_report_change();
    if (!connected) count_due = -1;
    int64_t due = count_due;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; ++i) due = earlier(due, steps[i]());
    /* poll() ignores negative descriptors. */
    struct pollfd wake[] = {{connected ? channel_fd() : -1, POLLIN, 0},
                            {linger_fd(), POLLIN, 0},
                            {wake_fd(), POLLIN, 0},
                            {forked_child_fd(), POLLIN, 0},
                            {handoff_fd(), POLLIN, 0},
                            {output_fd(0), POLLIN, 0},
                            {output_fd(1), POLLIN, 0},
                            {words_fd(), POLLIN, 0}};
    enum { COUNT = sizeof wake / sizeof wake[0] };
    if (due < 0 && control_thread_park(wake, COUNT)) return NULL;
    if (libc.poll(wake, COUNT, timeout_until(due < 0 ? control_thread_due() : due)) != 0)
      control_thread_put_off();
    if (wake[0].revents != 0) connected = frames_serve();
    if (wake[1].revents != 0) linger_serve();
    if (wake[2].revents != 0) wake_clear();
    if (wake[3].revents != 0) forked_child_serve_report();
    if (wake[4].revents != 0) handoff_serve();
    if (wake[7].revents != 0) words_serve();
    if (wake[5].revents != 0 || wake[6].revents != 0) output_abandoned();
  }
  return NULL;
}

bool control_thread_make(pthread_t* thread, void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  sigset_t all;
  sigset_t mask;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&all);
  libc.pthread_sigmask(SIG_BLOCK, &all, &mask);
  errno = libc.pthread_create(thread, &attributes, run, argument);
  const bool started = errno == 0;
  libc.pthread_sigmask(SIG_SETMASK, &mask, NULL);
  pthread_attr_destroy(&attributes);
  return started;
}

bool control_thread_setup(void) {
  sched_getaffinity(0, sizeof affinity, &affinity);
  return wake_setup() && open_requests_setup();
}

bool control_thread_start(void) {
  /* `before` may be reused here: its thread has been joined before the present one could park. */
  static pthread_t before;
  static pthread_t present;
  static bool is_first = true;
  pthread_t next;
  before = present;
  if (!control_thread_make(&next, control, is_first ? NULL : &before)) return false;
  present = next;
  is_first = false;
  return true;
}
