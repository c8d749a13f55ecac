/*
 * --keepalive migrate: which of the application's connections look idle, and the stand-ins in their place.
 * What becomes of each is found out behind its stand-in (retire/handoff_relay.h).
 */
#ifndef LIVESWAP_WORKER_RETIRE_IDLE_CONNECTIONS_H
#define LIVESWAP_WORKER_RETIRE_IDLE_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/api/listeners.h"
#include "worker/takeover/tcp_state.h"

/* All for the control thread. */

/* False when connections of this process cannot be moved. */
bool idle_connections_begin(int64_t grace_ms);

/* A connection of the application: true when it looks idle, and the next idle_connections_idle() tries to
 * move it. Not when that has just failed. */
bool idle_connections_consider(int fd, const struct connection* connection, const struct listener* listener);

/* Moves those, and goes on with those that were moved before. */
void idle_connections_idle(void);

#endif
