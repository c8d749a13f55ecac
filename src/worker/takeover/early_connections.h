/*
 * Connections for a listener that is just being bound: the master knows that this worker has it, and the
 * application's thread has not gone on with the answer yet. They are kept for a moment, and given back to the
 * master when the listener does not come. All for the control thread.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_EARLY_CONNECTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_EARLY_CONNECTIONS_H

#include <stdint.h>

/* Takes it over; as adopted_put_since(). */
void early_put(uint64_t cookie, int connection, int64_t since);

/* Goes on with those whose listener has come. When the next step is due, on clock_ms(), or -1. */
int64_t early_step(int64_t now);

/* Gives all of them back. */
void early_stop(void);

#endif
