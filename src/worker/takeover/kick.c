#include "kick.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/self.h"
#include "marks.h"
#include "real.h"

__thread volatile unsigned kick_counter;
__thread unsigned kick_masks;
static atomic_uint sent;
static atomic_uint handled;
static atomic_bool relied_upon; /* threads may wait in accept() where nothing else wakes them */

void kick_note(void) { ++kick_counter; }

bool kick_all_handled(void) { return (int)(atomic_load(&sent) - atomic_load(&handled)) <= 0; }

static void on_kick(int number) {
  (void)number;
  ++kick_counter;
  atomic_fetch_add(&handled, 1);
}

/* High, where applications seldom look for one. SA_RESTART: accept and read go on by themselves, with the descriptor
 * looked up anew. SA_ONSTACK: Go's threads have small stacks, and one of their own for signals. */
static int choose_signal(void) {
  struct sigaction action = {.sa_handler = on_kick, .sa_flags = SA_RESTART | SA_ONSTACK};
  struct sigaction before;
  sigfillset(&action.sa_mask);
  for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
    if (real.sigaction(candidate, NULL, &before) != 0) continue;
    if (before.sa_handler == on_kick) return candidate; /* another thread was faster */
    if (before.sa_handler == SIG_DFL && real.sigaction(candidate, &action, NULL) == 0) return candidate;
  }
  return -1;
}

/* -1: the application uses them all. It may begin to use one later. */
static int kick_signal(void) {
  static atomic_int number;
  struct sigaction now;
  const int chosen = atomic_load(&number);
  if (chosen > 0 && real.sigaction(chosen, NULL, &now) == 0 && now.sa_handler == on_kick) return chosen;
  const int other = choose_signal();
  atomic_store(&number, other);
  return other;
}

bool kick_reaches(void) {
  sigset_t mask;
  unsigned long unused;
  const int number = kick_signal();
  /* Some kernels know nothing of calls. */
  const bool can_be_found = self_call(gettid(), &unused) != SELF_CALL_NONE;
  const bool reaches = can_be_found && number > 0 && real.pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 &&
                       sigismember(&mask, number) == 0;
  if (reaches) atomic_store(&relied_upon, true);
  return reaches;
}

static bool waits_for_descriptors(long call) {
#ifdef SYS_poll
  if (call == SYS_poll || call == SYS_select) return true;
#endif
  return call == SYS_ppoll || call == SYS_pselect6;
}

static bool reads(long call) {
  return call == SYS_read || call == SYS_readv || call == SYS_recvfrom || call == SYS_recvmsg || call == SYS_recvmmsg;
}

static bool accepts(long call) { return call == SYS_accept || call == SYS_accept4; }

/* What a thread that is found in a call, or in none, is for the caller: whether to kick it. */
typedef bool (*choice)(long call, unsigned long first_argument, void* context);

struct round {
  choice choose;
  void* context;
};

static void visit(int thread, void* context) {
  const struct round* round = context;
  unsigned long argument = 0;
  if (thread == gettid()) return;
  const long call = self_call(thread, &argument);
  if (!round->choose(call, argument, round->context)) return;
  const int number = kick_signal();
  if (number > 0 && tgkill(getpid(), thread, number) == 0) atomic_fetch_add(&sent, 1);
}

/* False: not all of them could be looked at. */
static bool each_thread(choice choose, void* context) {
  return self_each_thread(visit, &(struct round){choose, context});
}

/* Who is at work may just be beginning to wait on what has its number no more: the kernel looks for signals before it sleeps. */
static bool may_begin_to_accept(long call) { return call == SELF_CALL_NONE && kick_is_relied_upon(); }

/* Who receives datagrams would take one more from those who serve now. */
static bool waits(long call, unsigned long argument, void* context) {
  (void)context;
  return call == SELF_CALL_UNKNOWN || waits_for_descriptors(call) || may_begin_to_accept(call) ||
         (reads(call) && (marks_of((int)argument) & MARK_SEIZED) != 0) ||
         (accepts(call) && (marks_of((int)argument) & (MARK_HELD | MARK_SEIZED)) != 0);
}

bool kick_waiting_threads(void) { return each_thread(waits, NULL); }

/* What is there now does not block, if it is a stand-in. */
static bool is_at_stand_in(long call, int fd) {
  return accepts(call) && (marks_of(fd) & MARK_SEIZED) != 0 && (real.fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

static bool still_accepts(long call, unsigned long argument, void* found) {
  if (!is_at_stand_in(call, (int)argument)) return call == SELF_CALL_UNKNOWN;
  *(bool*)found = true;
  return true;
}

bool kick_is_relied_upon(void) { return atomic_load(&relied_upon); }

bool kick_out_of_accept(void) {
  bool found = false;
  return each_thread(still_accepts, &found) && !found;
}

static bool accepts_from(long call, unsigned long argument, void* fd) {
  return may_begin_to_accept(call) || (accepts(call) && (int)argument == *(const int*)fd);
}

void kick_accepting(int fd) { each_thread(accepts_from, &fd); }

static bool has_to_do_with_moved(long call, unsigned long argument, void* context) {
  (void)context;
  return call == SELF_CALL_UNKNOWN || waits_for_descriptors(call) ||
         (reads(call) && (marks_of((int)argument) & MARK_MOVED) != 0);
}

void kick_users_of_moved(void) { each_thread(has_to_do_with_moved, NULL); }

struct note {
  void (*note)(int fd);
};

static bool note_reader(long call, unsigned long argument, void* context) {
  if (call == SELF_CALL_UNKNOWN) ((const struct note*)context)->note(KICK_ANY);
  if (reads(call)) ((const struct note*)context)->note((int)argument);
  return false;
}

void kick_note_readers(void (*note)(int fd)) { each_thread(note_reader, &(struct note){note}); }
