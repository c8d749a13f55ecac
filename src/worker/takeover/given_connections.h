/*
 * The connections that the master has given to this worker, the last 1,024 by their cookies. A master that is
 * killed may have given a connection without having taken it from the channel of the old worker: the next
 * master gives it again.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_GIVEN_CONNECTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_GIVEN_CONNECTIONS_H

#include <stdbool.h>

/* Adds a connection. False: it is here already, and `connection` is another descriptor of it. For the control
 * thread. */
bool given_connections_add(int connection);

/* The connection goes back to the master, which may give it to this worker again. Any thread. */
void given_connections_forget(int connection);

#endif
