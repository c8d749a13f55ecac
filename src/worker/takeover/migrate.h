/*
 * --keepalive migrate: which of the application's connections look idle, and the stand-ins in their place.
 * What becomes of each is found out behind its stand-in (handoff.h).
 */
#ifndef LIVESWAP_WORKER_MIGRATE_H
#define LIVESWAP_WORKER_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "worker/listeners.h"

/* All for the control thread. */

/* False when connections of this process cannot be moved. */
bool migrate_begin(int64_t grace_ms);

/* A connection of the application: true when it looks idle, and the next migrate_idle() tries to move it. Not
 * when that has just failed. */
bool migrate_consider(int fd, const struct connection* connection, const struct listener* listener);

/* Moves those, and goes on with those that were moved before. */
void migrate_idle(void);

#endif
