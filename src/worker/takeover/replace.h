/* Another listening socket in the place of one that the application has: of every descriptor, and in its
 * epolls. */
#ifndef LIVESWAP_WORKER_REPLACE_H
#define LIVESWAP_WORKER_REPLACE_H

#include <stdint.h>

#include "worker/listeners.h"

/*
 * For the control thread: nobody can connect to the listener with that cookie any more, since its file is
 * gone, and the master has bound `by` (owned) at its path. What still waits in the queue of the former one is
 * accepted by the application as if it had come to the new one.
 */
void replace_lost(uint64_t cookie, int by);

/* Any thread of the application but the control thread: `by`, which stays the caller's, is held at the path
 * that the application renames `listener` to. False, with errno: not everywhere. */
bool replace_renamed(const struct listener* listener, int by);

#endif
