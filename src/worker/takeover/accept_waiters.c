#include "accept_waiters.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
#include "worker/base/thread_interrupt.h"

/* A thread that gets no slot calls poll() before accept() instead of blocking in accept(). */
enum { SLEEPERS_MAX = 1024 };

__thread struct sleeper* accept_waiters_own;
static struct sleeper sleepers[SLEEPERS_MAX];
static atomic_int used; /* slots from here on were never used */
static pthread_key_t at_end;
static bool has_key;

/* Called when a thread ends, also one that was cancelled in accept(). */
static void give_back(void* own) {
  struct sleeper* const sleeper = own;
  accept_waiters_own = NULL;
  atomic_store(&sleeper->fd, SLEEPER_AWAKE);
  atomic_store(&sleeper->thread, 0);
}

void accept_waiters_setup(void) { has_key = pthread_key_create(&at_end, give_back) == 0; }

static struct sleeper* claim(void) {
  for (int i = 0; i < SLEEPERS_MAX; ++i) {
    pid_t nobody = 0;
    if (atomic_load(&sleepers[i].thread) != 0 ||
        !atomic_compare_exchange_strong(&sleepers[i].thread, &nobody, gettid()))
      continue;
    atomic_store(&sleepers[i].fd, SLEEPER_AWAKE);
    for (int before = atomic_load(&used);
         before <= i && !atomic_compare_exchange_weak(&used, &before, i + 1);)
      continue;
    return &sleepers[i];
  }
  return NULL;
}

bool accept_waiters_ready(void) {
  if (!has_key || !interrupt_reaches()) return false;
  if (accept_waiters_own != NULL) return true;
  struct sleeper* const own = claim();
  if (own == NULL) return false;
  if (pthread_setspecific(at_end, own) != 0) {
    give_back(own);
    return false;
  }
  accept_waiters_own = own;
  return true;
}

/* Whether the thread is in another system call: a signal handler may have left accept() by longjmp(). */
static bool is_elsewhere(pid_t thread) {
  unsigned long unused;
  const long call = proc_self_call(thread, &unused);
  return call >= 0 && call != SYS_accept && call != SYS_accept4;
}

/* Interrupts the thread. True: the thread may still be in accept(). */
static bool wake(struct sleeper* sleeper, int fd) {
  pid_t thread = atomic_load(&sleeper->thread);
  if (thread == 0 || thread == gettid() || is_elsewhere(thread) || atomic_load(&sleeper->fd) != fd)
    return false;
  if (interrupt_thread(thread)) return atomic_load(&sleeper->fd) == fd;
  /* The thread has ended without running give_back(): free its slot. */
  atomic_compare_exchange_strong(&sleeper->thread, &thread, 0);
  return false;
}

static bool wake_those(bool any, unsigned marks, int number) {
  bool found = false;
  for (int i = 0; i < atomic_load(&used); ++i) {
    const int fd = atomic_load(&sleepers[i].fd);
    const bool meant = any || fd == number || (fd_flags(fd) & marks) != 0;
    if (fd != SLEEPER_AWAKE && meant && wake(&sleepers[i], fd)) found = true;
  }
  return !found;
}

bool accept_waiters_wake_marked(unsigned marks) { return wake_those(false, marks, SLEEPER_AWAKE); }
bool accept_waiters_wake_at(int fd) { return wake_those(false, 0, fd); }
bool accept_waiters_wake_all(void) { return wake_those(true, 0, SLEEPER_AWAKE); }
