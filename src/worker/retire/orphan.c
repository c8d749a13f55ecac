#include "orphan.h"

#include <signal.h>
#include <unistd.h>

#include "worker/api/drain.h"
#include "worker/api/holds.h"
#include "worker/base/clock.h"
#include "worker/takeover/revoke.h"

enum step { STEP_NONE, STEP_REVOKE, STEP_TERM, STEP_KILL };

/* Used by the control thread only. */
static enum step next;
static int64_t due;
static int64_t grace;

void orphan_begin(int64_t drain_limit_ms, int64_t term_grace_ms) {
  if (!drain_is_on()) {
    drain_order(drain_limit_ms);
    holds_review();
  }
  grace = term_grace_ms;
  due = drain_deadline();
  next = due >= 0 ? STEP_REVOKE : STEP_NONE;
}

void orphan_end_hanging(int64_t for_ms, int64_t drain_limit_ms, int64_t term_grace_ms) {
  /* `for_ms` when SIGTERM was sent. Measured from there, because on a busy machine the call may come late. */
  static int64_t term = -1;
  if (drain_limit_ms < 0 || for_ms < drain_limit_ms + term_grace_ms) return;
  if (term < 0 || for_ms < term) {
    term = for_ms;
    kill(getpid(), SIGTERM);
  } else if (for_ms >= term + term_grace_ms) {
    kill(getpid(), SIGKILL);
  }
}

int64_t orphan_step(void) {
  if (next == STEP_NONE) return -1;
  const int64_t now = clock_ms();
  if (now >= due) {
    if (next == STEP_REVOKE) revoke_listeners();
    else kill(getpid(), next == STEP_TERM ? SIGTERM : SIGKILL);
    next = next == STEP_KILL ? STEP_NONE : (enum step)(next + 1);
    due = now + grace;
  }
  return next == STEP_NONE ? -1 : due;
}
