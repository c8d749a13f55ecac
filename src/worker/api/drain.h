/* The order to drain: once given it is never taken back, only its limit can change. */
#ifndef LIVESWAP_WORKER_API_DRAIN_H
#define LIVESWAP_WORKER_API_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

bool drain_setup(void);

/* `limit_ms`: from now, negative without. A later call replaces the limit. The caller then has
 * holds_wait() look at it (holds_review). */
void drain_order(int64_t limit_ms);

/* When the limit passes, on clock_ms(); -1 without a limit or while not draining. */
int64_t drain_deadline(void);

bool drain_is_on(void);

/*
 * Whether the application drains by itself: it has asked for the order by one of liveswap_drain_fd,
 * liveswap_draining and liveswap_drain_left_ms, at any time.
 */
bool drain_is_the_applications(void);

/* Milliseconds since the order; -1 while not draining. */
int64_t drain_age_ms(void);

/* How old a drain has to be before anything is done that might, if seldom, be wrong: half of its limit; 30 s
 * without one. */
int64_t drain_patience_ms(void);

#endif
