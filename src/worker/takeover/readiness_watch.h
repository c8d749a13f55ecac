/* Scans the process for listeners on which the application waits by calls that are not interposed: raw
 * system calls, io_uring. */
#ifndef LIVESWAP_WORKER_TAKEOVER_READINESS_WATCH_H
#define LIVESWAP_WORKER_TAKEOVER_READINESS_WATCH_H

#include <stdint.h>

/* For the control thread: scans once. Returns when to scan again, on clock_ms(); -1: never. */
int64_t readiness_watch_step(void);

#endif
