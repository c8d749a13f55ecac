/* The order to drain. Once given, the order stays; only the limit can change. Any thread, unless noted. */
#ifndef LIVESWAP_WORKER_API_DRAIN_H
#define LIVESWAP_WORKER_API_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

bool drain_setup(void);

/* Orders a drain that may take `limit_ms` from now (negative: no limit), or replaces the limit. For the
 * control thread, which then calls holds_review(). */
void drain_order(int64_t limit_ms);

/* The time on clock_ms() at which the limit passes; -1: no limit, or not draining. */
int64_t drain_deadline(void);

bool drain_is_on(void);

/*
 * Whether the application drains by itself, that is, has called liveswap_drain_fd, liveswap_draining or
 * liveswap_drain_left_ms.
 */
bool drain_is_cooperative(void);

/* Milliseconds since the order; -1: not draining. */
int64_t drain_age_ms(void);

/* The age of a drain from which the worker host also acts on guesses that may be wrong in rare cases: half of
 * the drain limit, 30 s without a limit. In ms. */
int64_t drain_patience_ms(void);

#endif
