#include "accept_waiters.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/base/fd_flags.h"
#include "worker/base/proc_self.h"
#include "worker/base/thread_interrupt.h"

/* A thread that gets no slot calls poll() before accept() instead of blocking in accept(). */
enum { WAITERS_MAX = 1024 };

__thread struct accept_waiter* accept_waiters_own;
static struct accept_waiter waiters[WAITERS_MAX];
static atomic_int used; /* slots from here on were never used */
static pthread_key_t thread_end;
static bool has_key;

/* Called when a thread ends, also one that was cancelled in accept(). */
static void give_back(void* own) {
  struct accept_waiter* const waiter = own;
  accept_waiters_own = NULL;
  atomic_store(&waiter->fd, NOT_ACCEPTING);
  atomic_store(&waiter->thread, 0);
}

void accept_waiters_setup(void) { has_key = pthread_key_create(&thread_end, give_back) == 0; }

static struct accept_waiter* claim(void) {
  for (int i = 0; i < WAITERS_MAX; ++i) {
    pid_t free_slot = 0;
    if (atomic_load(&waiters[i].thread) != 0 ||
        !atomic_compare_exchange_strong(&waiters[i].thread, &free_slot, gettid()))
      continue;
    atomic_store(&waiters[i].fd, NOT_ACCEPTING);
    for (int before = atomic_load(&used);
         before <= i && !atomic_compare_exchange_weak(&used, &before, i + 1);)
      continue;
    return &waiters[i];
  }
  return NULL;
}

bool accept_waiters_ready(void) {
  if (!has_key || !interrupt_reaches()) return false;
  if (accept_waiters_own != NULL) return true;
  struct accept_waiter* const own = claim();
  if (own == NULL) return false;
  if (pthread_setspecific(thread_end, own) != 0) {
    give_back(own);
    return false;
  }
  accept_waiters_own = own;
  return true;
}

/* Whether the thread is in another system call: a signal handler may have left accept() by longjmp(). */
static bool is_in_other_call(pid_t thread) {
  unsigned long unused;
  const long call = proc_self_call(thread, &unused);
  return call >= 0 && call != SYS_accept && call != SYS_accept4;
}

/* Interrupts the thread. True: the thread may still be in accept(). */
static bool interrupt(struct accept_waiter* waiter, int fd) {
  pid_t thread = atomic_load(&waiter->thread);
  if (thread == 0 || thread == gettid() || is_in_other_call(thread) || atomic_load(&waiter->fd) != fd)
    return false;
  if (interrupt_thread(thread)) return atomic_load(&waiter->fd) == fd;
  /* The thread has ended without running give_back(): free its slot. */
  atomic_compare_exchange_strong(&waiter->thread, &thread, 0);
  return false;
}

static bool interrupt_matching(bool any, unsigned flags, int number) {
  bool found = false;
  for (int i = 0; i < atomic_load(&used); ++i) {
    const int fd = atomic_load(&waiters[i].fd);
    const bool matches = any || fd == number || (fd_flags(fd) & flags) != 0;
    if (fd != NOT_ACCEPTING && matches && interrupt(&waiters[i], fd)) found = true;
  }
  return !found;
}

bool accept_waiters_wake_flagged(unsigned flags) { return interrupt_matching(false, flags, NOT_ACCEPTING); }
bool accept_waiters_wake_at(int fd) { return interrupt_matching(false, 0, fd); }
bool accept_waiters_wake_all(void) { return interrupt_matching(true, 0, NOT_ACCEPTING); }
