#include "process_exit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/api/drain.h"
#include "worker/api/readiness.h"
#include "worker/base/libc.h"
#include "worker/takeover/forked_child.h"

/* A worker that is not ready and was not told to drain. */
static bool is_starting(void) {
  return takeover_is_on() && !forked_child_runs() && !readiness_is_shown() && !drain_is_on() &&
         !drain_is_cooperative();
}

void process_exit_refuse_daemon(int status) {
  if (status == 0 && is_starting() && forked_child_may_be_daemon()) forked_child_refuse_daemon();
}

INTERPOSED void exit(int status) {
  process_exit_refuse_daemon(status);
  libc.exit(status);
}

INTERPOSED void _exit(int status) {
  process_exit_refuse_daemon(status);
  libc._exit(status);
}

INTERPOSED void _Exit(int status) { _exit(status); }

INTERPOSED int daemon(int keep_directory, int keep_streams) {
  if (takeover_is_on() && !forked_child_runs()) forked_child_refuse_daemon();
  return libc.daemon(keep_directory, keep_streams);
}

INTERPOSED pid_t setsid(void) {
  if (forked_child_is_here()) forked_child_detached();
  return libc.setsid();
}
