#ifndef LIVESWAP_WORKER_TAKEOVER_CONNECTION_COUNT_H
#define LIVESWAP_WORKER_TAKEOVER_CONNECTION_COUNT_H

#include <stdint.h>

/*
 * The open connections that came in by the listeners, lingering ones included. Found by looking through the
 * descriptors, not by following accept and close: immune to dup, fclose and raw system calls. A connection
 * with two descriptors counts twice. Those that processes have which the application has forked are among
 * them.
 */
uint64_t connection_count(void);

/* Answers a COUNT with that value. */
void connection_count_answer(int32_t value);

/* Sends what has been served, and how many idle connections were ended or moved, when there is any, before
 * the process ends. */
void connection_count_last(void);

/* An idle connection has been ended, or handed to the successor, for the sake of the drain. Any thread. */
void connection_count_idle_ended(void);
void connection_count_idle_moved(void);

/* Counts, and sends the numbers when there are not as many connections as it said last. Returns when to do so
 * again, on clock_ms().
 */
int64_t connection_count_report_change(void);

#endif
