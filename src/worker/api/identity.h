#ifndef LIVESWAP_WORKER_API_IDENTITY_H
#define LIVESWAP_WORKER_API_IDENTITY_H

#include "worker/base/options.h"

/* What the "who am I" functions of the contract answer, and the name that ps and top show. */
void identity_assume(const struct options* options);

#endif
