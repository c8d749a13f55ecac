#ifndef LIVESWAP_WORKER_CHECK_H
#define LIVESWAP_WORKER_CHECK_H

#include "worker/base/options.h"

/*
 * Checks the library on the calling thread: loads the library, looks up the entry and the ABI note, runs the
 * self-test. Reports to the master and ends the process by exit(), as a worker does, so that an exit handler
 * that blocks is noticed.
 */
_Noreturn void check_run(const struct options* options);

#endif
