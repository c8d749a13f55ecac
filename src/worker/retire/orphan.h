/*
 * A worker whose master has died looks after itself: it drains, and when the limit has passed it does to
 * itself what the master would have done, one step each --term-grace: listeners away, SIGTERM, SIGKILL.
 */
#ifndef LIVESWAP_WORKER_RETIRE_ORPHAN_H
#define LIVESWAP_WORKER_RETIRE_ORPHAN_H

#include <stdint.h>

/* An order to drain that the master has given before keeps its limit. */
void orphan_begin(int64_t drain_limit_ms, int64_t term_grace_ms);

/* The same for one whose control thread cannot do that (control/parking.h): ends a process that hangs,
 * `for_ms` after the master's death. */
void orphan_end_hanging(int64_t for_ms, int64_t drain_limit_ms, int64_t term_grace_ms);

/* Takes the steps that are due; returns when the next one is, on clock_ms(), or -1. */
int64_t orphan_step(void);

#endif
