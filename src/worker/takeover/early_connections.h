/*
 * Connections for a listener that is just being bound: the master knows that this worker has the listener,
 * but the application's thread has not yet processed the answer to its bind(). Kept for up to 1 s, then given
 * back to the master. All for the control thread.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_EARLY_CONNECTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_EARLY_CONNECTIONS_H

#include <stdint.h>

/* Takes ownership, as adopted_put_since(). */
void early_put(uint64_t cookie, int connection, int64_t since);

/* Passes on the connections whose listener is in the list by now, and gives late ones back. `now` INT64_MAX:
 * all are late. Returns when to call again, on clock_ms(); -1: never. */
int64_t early_step(int64_t now);

#endif
