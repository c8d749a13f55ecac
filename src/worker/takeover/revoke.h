/*
 * Takes listeners away from the application: puts a socket that nobody can connect to in the place of each,
 * and of each duplicate, in its epolls too. The application's next accept finds nothing, its event loop
 * sleeps, and the successor gets every new connection. Nothing of the application has to help.
 *
 * It takes descriptors to do that, and the application may have none left: then it is tried again until it is
 * done. And a thread that sleeps in accept() sleeps on what was there before: it is kicked until it has
 * looked again.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_REVOKE_H
#define LIVESWAP_WORKER_TAKEOVER_REVOKE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/api/listeners.h"
#include "worker/base/slow_path.h"

/* All of them, for ever; those that are taken over later too. For the control thread. */
void revoke_listeners(void);

/* Whether revoke_listeners has begun. One load. */
static inline bool revoke_has_begun(void) { return slow_path_has(SLOW_SEIZED); }

/* Whether there is nothing left to be taken, and nobody waits for a connection of what has been. For the
 * control thread. */
bool revoke_is_complete(void);

/* For the control thread: tries again. When the next time is, on clock_ms(), or -1. */
int64_t revoke_step(void);

/* One of them, by any thread; keeps errno. Where another may sleep in accept() with it, the threads have to
 * be kicked, and the control thread woken to see to it. False: it could not be taken. */
bool revoke_descriptor(int fd, const struct listener* listener);

#endif
