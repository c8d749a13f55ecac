/*
 * Returns connections that this worker cannot adopt to the master. They wait here while the channel is full,
 * so that no thread blocks on a slow master and no connection is lost.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_GIVE_BACK_H
#define LIVESWAP_WORKER_TAKEOVER_GIVE_BACK_H

#include <stdbool.h>
#include <stdint.h>

/* Takes ownership of `connection`, which came in by the listener with that cookie and which the predecessor
 * gave up at `since` on clock_ms(). Never blocks. Any thread. */
void give_back(uint64_t cookie, int connection, int64_t since);

/* For the control thread: sends waiting connections. Returns when to call again, on clock_ms(); -1: never. */
int64_t give_back_step(void);

/* Whether no connection waits; before that the process must not end. Any thread. */
bool give_back_is_done(void);

#endif
