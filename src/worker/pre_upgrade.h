#ifndef LIVESWAP_WORKER_PRE_UPGRADE_H
#define LIVESWAP_WORKER_PRE_UPGRADE_H

#include "worker/base/options.h"

/* Runs a pre-upgrade plugin on the calling thread, waits until the plugin has called `done`, and ends the
 * process. */
_Noreturn void pre_upgrade_run(const struct options* options);

#endif
