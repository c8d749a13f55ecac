/* Looks from outside whether listeners are waited for, where no intercepted call has shown it: raw system
 * calls, io_uring. */
#ifndef LIVESWAP_WORKER_TAKEOVER_READINESS_WATCH_H
#define LIVESWAP_WORKER_TAKEOVER_READINESS_WATCH_H

#include <stdint.h>

/* For the control thread: looks once. Returns when to look again, on clock_ms(), or -1. */
int64_t readiness_watch_step(void);

#endif
