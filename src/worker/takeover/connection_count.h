#ifndef LIVESWAP_WORKER_TAKEOVER_CONNECTION_COUNT_H
#define LIVESWAP_WORKER_TAKEOVER_CONNECTION_COUNT_H

#include <stdint.h>

/*
 * Counts the open connections that came in by the listeners, including lingering ones and those of forked
 * processes. Scans all descriptors instead of following accept() and close(), so that dup, fclose and raw
 * system calls cannot falsify the count. A connection with two descriptors counts twice. Any thread; may take
 * milliseconds.
 */
uint64_t connection_count(void);

/* Answers a COUNT frame; `value` is the number in that frame. */
void connection_count_answer(int32_t value);

/* Sends that no connection is open, if the last number was another. A descriptor may be left of a connection
 * that is over: the application has not closed it. For the control thread. */
void connection_count_none(void);

/* Before the process ends: sends the final numbers of requests and of idle connections, if there were any. */
void connection_count_last(void);

/* The drain has closed an idle connection, or handed one to the successor. Any thread. */
void connection_count_idle_ended(void);
void connection_count_idle_handed_off(void);

/* Counts, and sends the numbers if they have changed since the last time. Returns when to call again, on
 * clock_ms(). For the control thread. */
int64_t connection_count_report_change(void);

#endif
