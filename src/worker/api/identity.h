#ifndef LIVESWAP_WORKER_API_IDENTITY_H
#define LIVESWAP_WORKER_API_IDENTITY_H

#include "worker/base/options.h"

/* Sets what liveswap_slot(), _generation(), _argc() and _argv() return, and the process name that ps and top
 * show. `options` stays borrowed. Called once. */
void identity_assume(const struct options* options);

#endif
