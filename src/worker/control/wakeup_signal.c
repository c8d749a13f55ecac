#include "wakeup_signal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/base/thread_interrupt.h"

enum { REST_MAX_MS = 1024 };

static int channel = -1;
static _Atomic int also = -1;
static void (*received)(void);
static timer_t timer;
static _Atomic int64_t rest_ms;

static void on_signal(int number) {
  (void)number;
  const int error = errno;
  interrupt_note();
  received();
  errno = error;
}

bool wakeup_signal_setup(int of_channel, void (*call)(void)) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  channel = of_channel;
  received = call;
  event._sigev_un._tid = getpid();
  sigfillset(&action.sa_mask);
  return libc.sigaction(SIGURG, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

void wakeup_signal_add(int fd) { also = fd; }

static bool set_async(int fd, bool on) {
  const int flags = libc.fcntl(fd, F_GETFL);
  return flags >= 0 && libc.fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) == 0;
}

static bool arm(int fd) {
  /* The first thread has the number of the process. */
  const struct f_owner_ex owner = {F_OWNER_TID, getpid()};
  return libc.fcntl(fd, F_SETOWN_EX, &owner) == 0 && libc.fcntl(fd, F_SETSIG, SIGURG) == 0 &&
         set_async(fd, true);
}

bool wakeup_signal_arm(void) {
  /* The application may have closed the other end of that one meanwhile, and then it is gone. */
  if (also >= 0) arm(also);
  return arm(channel);
}

/* 0: never. */
static void set_timer(int64_t ms) {
  const struct itimerspec when = {.it_value = clock_timespec(ms)};
  rest_ms = ms;
  timer_settime(timer, 0, &when, NULL);
}

void wakeup_signal_disarm(void) {
  set_async(channel, false);
  if (also >= 0) set_async(also, false);
  set_timer(0);
}

void wakeup_signal_repeat(void) {
  const int64_t next = rest_ms == 0 ? 1 : 2 * rest_ms;
  set_timer(next < REST_MAX_MS ? next : REST_MAX_MS);
}

static bool is_handled(void) {
  struct sigaction action;
  return libc.sigaction(SIGURG, NULL, &action) == 0 && action.sa_handler == on_signal;
}

bool wakeup_signal_is_deliverable_with(unsigned long long blocked) {
  return is_handled() && (blocked >> (SIGURG - 1) & 1) == 0;
}

bool wakeup_signal_is_deliverable(void) {
  sigset_t mask;
  return is_handled() && libc.pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 &&
         !wakeup_signal_is_blocked(&mask);
}
