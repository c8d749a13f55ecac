#ifndef LIVESWAP_WORKER_COUNT_H
#define LIVESWAP_WORKER_COUNT_H

#include <stdint.h>

/*
 * The open connections that came in by the listeners, lingering ones included. Found by looking through the
 * descriptors, not by following accept and close: immune to dup, fclose and raw system calls. A connection
 * with two descriptors counts twice.
 */
uint64_t count_connections(void);

/* Counts, and sends the number when it is not the one sent last. Returns when to do so again, on clock_ms().
 */
int64_t count_report_change(void);

#endif
