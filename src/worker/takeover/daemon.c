/* daemon, setsid, exit, _exit and _Exit. */
#include "daemon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "child.h"
#include "real.h"
#include "worker/drain.h"
#include "worker/readiness.h"

/* Nobody has asked it to leave, and it is a worker that has just been started. */
static bool is_starting(void) {
  return calls_taking_over() && !child_runs() && !readiness_is_over() && !drain_is_on() &&
         !drain_is_the_applications();
}

void daemon_refuse(int status) {
  if (status == 0 && is_starting() && child_may_be_daemon()) child_refuse_daemon();
}

SEEN_CALL void exit(int status) {
  daemon_refuse(status);
  real.exit(status);
}

SEEN_CALL void _exit(int status) {
  daemon_refuse(status);
  real._exit(status);
}

SEEN_CALL void _Exit(int status) { _exit(status); }

SEEN_CALL int daemon(int keep_directory, int keep_streams) {
  if (calls_taking_over() && !child_runs()) child_refuse_daemon();
  return real.daemon(keep_directory, keep_streams);
}

SEEN_CALL pid_t setsid(void) {
  if (child_is_here()) child_detached();
  return real.setsid();
}
