/* Another listening socket in the place of one that the application has: of every descriptor, and in its
 * epolls. */
#ifndef LIVESWAP_WORKER_TAKEOVER_LOST_LISTENER_H
#define LIVESWAP_WORKER_TAKEOVER_LOST_LISTENER_H

#include <stdint.h>

#include "worker/api/listeners.h"

/*
 * For the control thread: nobody can connect to the listener with that cookie any more, since its file is
 * gone, and the master has bound `by` (owned) at its path. What still waits in the queue of the former one is
 * accepted by the application as if it had come to the new one.
 */
void lost_listener_replace(uint64_t cookie, int by);

/* Any thread of the application but the control thread: `by`, which stays the caller's, is held at the path
 * that the application renames `listener` to. False, with errno: not everywhere. */
bool lost_listener_renamed(const struct listener* listener, int by);

#endif
