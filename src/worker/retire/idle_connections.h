/*
 * --keepalive migrate: chooses connections that look idle and replaces them by placeholders;
 * retire/handoff_relay.h then decides about each.
 */
#ifndef LIVESWAP_WORKER_RETIRE_IDLE_CONNECTIONS_H
#define LIVESWAP_WORKER_RETIRE_IDLE_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/api/listeners.h"
#include "worker/takeover/tcp_state.h"

/* All functions are for the control thread. */

/* Called once. False: connections of this process cannot be handed off (io_uring). */
bool idle_connections_begin(int64_t grace_ms);

/* Considers a connection of the application. True: the connection looks idle, and the next
 * idle_connections_step() tries to replace it, or a later one if there are too many for one step. False also
 * if the last try has just failed. */
bool idle_connections_consider(int fd, const struct connection* connection, const struct listener* listener);

/* Replaces those connections, and hands off earlier ones that stayed idle. */
void idle_connections_step(void);

#endif
