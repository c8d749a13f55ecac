/* Replaces a listening socket in all of its descriptors and epoll registrations. */
#ifndef LIVESWAP_WORKER_TAKEOVER_LOST_LISTENER_H
#define LIVESWAP_WORKER_TAKEOVER_LOST_LISTENER_H

#include <stdint.h>

#include "worker/api/listeners.h"

/*
 * For the control thread: the file of the Unix listener with that cookie is lost, so no client can connect,
 * and the master has bound `by` (owned) at the same path. Connections in the former socket's queue are
 * accepted by the application as if they had come to the new socket.
 */
void lost_listener_replace(uint64_t cookie, int by);

/* Not for the control thread. The application renames `listener`; the master holds `by` (borrowed) at the new
 * path. False, with errno: not all descriptors were replaced. */
bool lost_listener_renamed(const struct listener* listener, int by);

#endif
