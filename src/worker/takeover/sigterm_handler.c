#include "sigterm_handler.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker/base/libc.h"
#include "worker/base/proc_self.h"

struct thread_counts {
  int blocking;
  int waiting; /* in sigwait(): the kernel shows the awaited signals as not blocked */
  int unknown; /* may be in sigwait(); the kernel hides the call */
  int others;  /* the kernel could deliver SIGTERM to such a thread, which would end the process */
};

static bool blocks_sigterm(int thread) {
  char path[32];
  unsigned long long blocked = 0;
  snprintf(path, sizeof path, "task/%d/status", thread);
  /* Without the line, the thread has just ended. */
  return !proc_self_number(path, "SigBlk:", 16, &blocked) || (blocked >> (SIGTERM - 1) & 1) != 0;
}

static void note_thread(int thread, void* context) {
  struct thread_counts* counts = context;
  unsigned long argument = 0;
  if (thread == gettid()) return;
  if (blocks_sigterm(thread)) {
    ++counts->blocking;
    return;
  }
  switch (proc_self_call(thread, &argument)) {
    case SYS_rt_sigtimedwait: ++counts->waiting; break;
    case SELF_CALL_UNKNOWN: ++counts->unknown; break;
    default: ++counts->others;
  }
}

bool sigterm_handler(void) {
  struct sigaction action;
  struct thread_counts counts = {0};
  if (libc.sigaction(SIGTERM, NULL, &action) != 0 || action.sa_handler == SIG_IGN) return false;
  if (action.sa_handler != SIG_DFL) return true;
  if (!proc_self_each_thread(note_thread, &counts) || counts.others > 0) return false;
  /* If all other threads block the signal, a single hidden thread is the one in sigwait(). */
  return counts.unknown == 0 || (counts.unknown == 1 && counts.waiting == 0 && counts.blocking > 0);
}
