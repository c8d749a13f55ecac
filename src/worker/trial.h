#ifndef LIVESWAP_WORKER_TRIAL_H
#define LIVESWAP_WORKER_TRIAL_H

#include "worker/base/options.h"

/*
 * Checks a program or a script without running it: whether the hook can be loaded into the program, or into
 * the runtime; whether all libraries of a program are found; what the runtime's own check says about a
 * script. Reports to the master and ends the process, as check_run() does for a plugin.
 */
_Noreturn void trial_run(struct options* options);

#endif
