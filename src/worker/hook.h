#ifndef LIVESWAP_WORKER_HOOK_H
#define LIVESWAP_WORKER_HOOK_H

#include "worker/base/options.h"

/* Runs a pre-upgrade plugin on the calling thread, waits until the plugin has called `done`, and ends the
 * process. */
_Noreturn void hook_run(const struct options* options);

#endif
