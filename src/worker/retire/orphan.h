/*
 * Ends a worker after the master has died. The worker drains. After the limit the worker host uses force as
 * the master would have, one step each --term-grace: revoke the listeners, SIGTERM, SIGKILL. For the control
 * thread, unless noted.
 */
#ifndef LIVESWAP_WORKER_RETIRE_ORPHAN_H
#define LIVESWAP_WORKER_RETIRE_ORPHAN_H

#include <stdint.h>

/* Begins the drain. The limit of an order that the master has given before stays. */
void orphan_begin(int64_t drain_limit_ms, int64_t term_grace_ms);

/* For a process that hangs while its control thread is parked (control/parking.h), `for_ms` after the
 * master's death: sends SIGTERM, then SIGKILL, when due. Any thread; async-signal-safe. */
void orphan_end_hanging(int64_t for_ms, int64_t drain_limit_ms, int64_t term_grace_ms);

/* Takes the steps that are due. Returns when to call again, on clock_ms(); -1: never. */
int64_t orphan_step(void);

#endif
