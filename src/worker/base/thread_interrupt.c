#include "thread_interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "fd_flags.h"
#include "libc.h"
#include "proc_self.h"

__thread volatile unsigned interrupt_counter;
__thread bool interrupt_is_blocked;
enum {
  LOOK_AGAIN_MS = 2,
  /* After a scan pause four times as long, so scans take at most a fifth of the control thread's time. */
  LOOK_REST = 4,
};

static atomic_uint sent;
static atomic_uint handled;
static atomic_int number; /* the signal; 0: not chosen yet, -1: the application uses them all */

void interrupt_note(void) { ++interrupt_counter; }

static void on_interrupt(int number) {
  (void)number;
  ++interrupt_counter;
  atomic_fetch_add(&handled, 1);
}

/* One of the highest signals, which applications seldom use. SA_RESTART: the kernel restarts accept and read,
 * and looks the descriptor up again. SA_ONSTACK: Go's threads have small stacks and an alternative one for
 * signals. */
static int choose_signal(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK};
  struct sigaction before;
  sigfillset(&action.sa_mask);
  for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
    if (libc.sigaction(candidate, NULL, &before) != 0) continue;
    if (before.sa_handler == on_interrupt)
      return candidate; /* another thread has chosen a signal meanwhile */
    if (before.sa_handler == SIG_DFL && libc.sigaction(candidate, &action, NULL) == 0) return candidate;
  }
  return -1;
}

/* Chooses another signal if the application now uses the last one. */
static int interrupt_signal(void) {
  struct sigaction now;
  const int chosen = atomic_load(&number);
  if (chosen > 0 && libc.sigaction(chosen, NULL, &now) == 0 && now.sa_handler == on_interrupt) return chosen;
  const int other = choose_signal();
  atomic_store(&number, other);
  return other;
}

bool interrupt_reaches(void) {
  sigset_t mask;
  const int chosen = interrupt_signal();
  if (chosen < 0 || libc.pthread_sigmask(SIG_SETMASK, NULL, &mask) != 0) return false;
  interrupt_is_blocked = sigismember(&mask, chosen) != 0;
  return !interrupt_is_blocked;
}

void interrupt_note_mask(int how, const sigset_t* set) {
  const int chosen = atomic_load(&number);
  if (chosen <= 0) return;
  if (how == SIG_SETMASK) interrupt_is_blocked = sigismember(set, chosen) != 0;
  else if (sigismember(set, chosen) != 0) interrupt_is_blocked = how == SIG_BLOCK;
}

bool interrupt_thread(pid_t thread) {
  const int chosen = interrupt_signal();
  if (chosen < 0) return true;
  /* Count first: the handler may run before tgkill() returns. */
  atomic_fetch_add(&sent, 1);
  if (tgkill(getpid(), thread, chosen) == 0) return true;
  atomic_fetch_sub(&sent, 1);
  return errno != ESRCH;
}

static bool waits_for_descriptors(long call) {
#ifdef SYS_poll
  if (call == SYS_poll || call == SYS_select) return true;
#endif
  return call == SYS_ppoll || call == SYS_pselect6;
}

static bool reads(long call) {
  return call == SYS_read || call == SYS_readv || call == SYS_recvfrom || call == SYS_recvmsg ||
         call == SYS_recvmmsg;
}

static bool accepts(long call) { return call == SYS_accept || call == SYS_accept4; }

/* Whether to interrupt a thread that is in `call`. */
typedef bool choice(long call, int fd);

struct round {
  choice* choose;       /* NULL: interrupts none */
  void (*note)(int fd); /* of interrupt_note_readers(), or NULL */
};

static void visit(int thread, void* context) {
  const struct round* round = context;
  unsigned long argument = 0;
  if (thread == gettid()) return;
  const long call = proc_self_call(thread, &argument);
  if (call == SELF_CALL_NONE) return;
  if (round->choose != NULL && round->choose(call, (int)argument)) interrupt_thread(thread);
  if (round->note == NULL) return;
  if (call == SELF_CALL_UNKNOWN || call == SELF_CALL_RUNNING) round->note(INTERRUPT_ANY);
  else if (reads(call)) round->note((int)argument);
}

/* Also threads blocked in recv on a UDP listener, or in an accept that the worker host does not interpose:
 * uninterrupted, each would take one more packet or connection. */
static bool waits(long call, int fd) {
  return call == SELF_CALL_UNKNOWN || waits_for_descriptors(call) ||
         ((reads(call) || accepts(call)) && (fd_flags(fd) & FLAG_REVOKED) != 0);
}

/* A running thread may be reading from the file that the descriptor referred to before. */
static bool uses_moved(long call, int fd) {
  return call == SELF_CALL_UNKNOWN || call == SELF_CALL_RUNNING || waits_for_descriptors(call) ||
         (reads(call) && (fd_flags(fd) & FLAG_HANDOFF) != 0);
}

void interrupt_waiting_threads(void) { proc_self_each_thread(visit, &(struct round){.choose = waits}); }
void interrupt_handoff_users(void) { proc_self_each_thread(visit, &(struct round){.choose = uses_moved}); }
void interrupt_note_readers(void (*note)(int fd)) {
  proc_self_each_thread(visit, &(struct round){.note = note});
}

static bool is_pending(int thread, int signal) {
  char path[32];
  unsigned long long pending = 0;
  snprintf(path, sizeof path, "task/%d/status", thread);
  /* Without the line, the thread has just ended. */
  return proc_self_number(path, "SigPnd:", 16, &pending) && (pending >> (signal - 1) & 1) != 0;
}

static void look_for_reader(int thread, void* found) {
  unsigned long argument = 0;
  if (thread == gettid() || !is_pending(thread, atomic_load(&number))) return;
  const long call = proc_self_call(thread, &argument);
  if (call == SELF_CALL_UNKNOWN || call == SELF_CALL_RUNNING || reads(call)) *(bool*)found = true;
}

/*
 * Called for each connection, while a scan reads two files of each thread: so the result is cached for some
 * time. "No thread reads" stays valid until the next interruption, because later reads find the placeholder.
 */
bool interrupt_is_read_over(void) {
  static unsigned over_at;
  static int64_t looked_until;
  const unsigned interrupts = (unsigned)atomic_load(&sent);
  if ((int)(interrupts - (unsigned)atomic_load(&handled)) <= 0 || interrupts == over_at) return true;
  const int64_t before = clock_ms();
  if (before < looked_until) return false;
  bool found = false;
  if (proc_self_each_thread(look_for_reader, &found) && !found) {
    over_at = interrupts;
    return true;
  }
  const int64_t now = clock_ms();
  looked_until = now + LOOK_AGAIN_MS + LOOK_REST * (now - before);
  return false;
}
