#ifndef LIVESWAP_WORKER_CHECK_H
#define LIVESWAP_WORKER_CHECK_H

#include "worker/base/options.h"

/*
 * Finds out on the calling thread whether the library would do, as far as that can be known without serving:
 * loads it, looks for entry and ABI note, runs its self-test. Tells the master, and ends the process as a
 * worker ends, by exit(): an exit handler that blocks shows by a process that stays.
 */
_Noreturn void check_run(const struct options* options);

#endif
