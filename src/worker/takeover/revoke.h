/*
 * Takes listeners away from the application. A placeholder, a listening socket that no client can reach,
 * replaces each descriptor of each listener, in epolls too. The next accept() finds no connection, the event
 * loop waits, and the successor gets all new connections. The application need not cooperate.
 *
 * Two things may take several tries. Replacing needs free descriptors. A thread in accept() stays on the
 * former socket until an interrupt reaches it.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_REVOKE_H
#define LIVESWAP_WORKER_TAKEOVER_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/api/listeners.h"
#include "worker/base/slow_path.h"

/* Revokes all listeners for good, and those that are taken over later. For the control thread. */
void revoke_listeners(void);

/* Whether revoke_listeners() was called. One load. */
static inline bool revoke_has_begun(void) { return slow_path_has(SLOW_REVOKED); }

/* Whether all listeners are revoked and no thread waits on a former socket. For the control thread. */
bool revoke_is_complete(void);

/* For the control thread: tries again. Returns when to call again, on clock_ms(); -1: never. */
int64_t revoke_step(void);

/* Revokes one descriptor. Any thread; keeps errno. Where another thread may be in accept() with `fd`, the
 * caller interrupts the threads and wakes the control thread, which repeats that. False: not replaced. */
bool revoke_descriptor(int fd, const struct listener* listener);

#endif
