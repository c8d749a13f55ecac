#include "aside.h"

#include <errno.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "drain.h"
#include "readiness.h"
#include "self.h"
#include "takeover/child.h"
#include "takeover/intercept.h"
#include "takeover/kick.h"
#include "takeover/marks.h"
#include "takeover/real.h"
#include "takeover/swap.h"
#include "takeover/uring.h"

enum {
  QUIET_MS = 500,
  /* Until it is let in it kicks those that wait, again and again, more and more seldom. */
  KICK_AFTER_MS = 20,
  KICKS_LIMIT_MS = 1000,
  /* The descriptors that it keeps: what it waits for, and /proc (self.c). */
  KEPT_MAX = 32,
};

atomic_bool aside_wanted;
atomic_bool aside_accepted;

/* Of `is_out`, and of changes of `aside_wanted`. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_out;

/* Of the control thread. */
static int64_t quiet_since;
static bool is_impossible;

void aside_note_first_accept(void) {
  if (!atomic_exchange(&aside_accepted, true)) control_wake();
}

void aside_put_off(void) { quiet_since = clock_ms(); }

int64_t aside_due(void) {
  const bool may = atomic_load(&aside_accepted) && !is_impossible && readiness_is_over() && !drain_is_on();
  return may ? quiet_since + QUIET_MS : -1;
}

void aside_let_in(void) {
  const int error = errno;
  sigset_t all;
  sigset_t before;
  if (child_runs()) return;
  /* A handler of the application's may come by here, too. */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  pthread_mutex_lock(&lock);
  if (is_out && control_succeed()) {
    is_out = false;
    atomic_store(&aside_wanted, false);
    pthread_cond_signal(&changed);
    control_wake(); /* it may not know yet that it is wanted */
  }
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
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

/* After "\nName:\t" of /proc/self/status, which is about the first thread. */
static unsigned long long status_of(const char* status, const char* name, int base) {
  const char* const found = strstr(status, name);
  return found != NULL ? strtoull(found + strlen(name), NULL, base) : ~0ULL;
}

/* Who has blocked the signals cannot be kicked out of poll(); a filter may forbid what is needed to come back. */
static bool can_be_woken(void) {
  char status[4096];
  if (self_read("status", status, sizeof status) <= 0) return false;
  const unsigned long long kicks = ~0ULL << SIGRTMIN & ~0ULL >> (64 - (SIGRTMAX - 1));
  return (status_of(status, "\nSigBlk:\t", 16) & kicks) == 0 && status_of(status, "\nSeccomp:\t", 10) == 0;
}

/* The application's descriptor, in this thread's own table. */
static int borrow(int process, int fd) { return (int)real.syscall(SYS_pidfd_getfd, process, fd, 0); }

static int open_process(void) { return (int)real.syscall(SYS_pidfd_open, getpid(), 0); }

/* Containers may forbid it. */
static bool can_borrow(void) {
  const int process = open_process();
  const int fd = process >= 0 ? borrow(process, process) : -1;
  if (fd >= 0) real.close(fd);
  if (process >= 0) real.close(process);
  return fd >= 0;
}

static bool is_possible(void) {
  return !intercept_is_on() && are_two_threads() && !uring_is_there() && can_be_woken() && can_borrow();
}

static int compare(const void* one, const void* other) { return *(const int*)one - *(const int*)other; }

/* From the top, so that the kernel copies nothing that is to be closed at once: the connections are there. */
static bool keep_only(int* kept, int count) {
  qsort(kept, (size_t)count, sizeof *kept, compare);
  if (real.close_range((unsigned)kept[count - 1] + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0) return false;
  for (int i = count - 1; i > 0; --i)
    if (kept[i] - kept[i - 1] > 1) real.close_range((unsigned)kept[i - 1] + 1, (unsigned)kept[i] - 1, 0);
  return true;
}

static bool leave_table(const struct pollfd* waited_for, nfds_t count) {
  int kept[KEPT_MAX] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  int all = 3;
  for (nfds_t i = 0; i < count; ++i)
    if (waited_for[i].fd >= 0) kept[all++] = waited_for[i].fd;
  return keep_only(kept, all + self_descriptors(kept + all, KEPT_MAX - all));
}

struct ring {
  int process;
  int bell;
};

static void ring_in(int epoll, struct epoll_event* event, void* context) {
  const struct ring* ring = context;
  const int borrowed = borrow(ring->process, epoll);
  if (borrowed < 0) return;
  real.epoll_ctl(borrowed, EPOLL_CTL_ADD, ring->bell, event);
  real.close(borrowed);
}

/* A bell of its own for each, readable, in its epolls: its event loop believes in a connection. */
static void ring_for(int fd, void* process) {
  if ((marks_of(fd) & MARK_HELD) == 0 || (marks_of(fd) & MARK_EPOLLED) == 0) return;
  struct ring ring = {*(const int*)process, eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (ring.bell >= 0) swap_each_registration(fd, ring_in, &ring);
}

/* The bells end with the table, when the thread ends. */
static void ring(void) {
  int process = open_process();
  if (process >= 0) self_each_descriptor(ring_for, &process);
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

static void wait_to_be_let_in(struct pollfd* waited_for, nfds_t count) {
  real.poll(waited_for, count, -1);
  if (!want_in()) return;
  ring();
  int64_t rest = KICK_AFTER_MS;
  do {
    kick_waiting_threads();
    rest = rest < KICKS_LIMIT_MS ? 2 * rest : rest;
  } while (!is_in_by(clock_ms() + rest));
}

bool aside_step(struct pollfd* waited_for, nfds_t count) {
  const int64_t due = aside_due();
  if (due < 0 || clock_ms() < due) return false;
  is_impossible = true;
  if (!is_possible()) return false;
  pthread_mutex_lock(&lock);
  const bool left = leave_table(waited_for, count);
  is_out = left;
  pthread_mutex_unlock(&lock);
  if (!left) return false;
  is_impossible = false;
  wait_to_be_let_in(waited_for, count);
  return true;
}
