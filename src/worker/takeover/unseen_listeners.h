/*
 * Finds listeners that the application has made by calls that are not intercepted. The master does not hold
 * them, so an upgrade would refuse connections. Scans the descriptors while the worker starts; the worker
 * then fails with advice.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_UNSEEN_LISTENERS_H
#define LIVESWAP_WORKER_TAKEOVER_UNSEEN_LISTENERS_H

#include <stdint.h>

#include "worker/base/options.h"

/* The application is about to be called: scans begin. */
void unseen_listeners_watch(const struct options* options);

/* Around a bind() that is taken over. From the master's listen() on, and until the worker host has the
 * listener in its list, the socket looks like one that was made unseen: there are no scans meanwhile. Any
 * thread. */
void unseen_listeners_bind_begins(void);
void unseen_listeners_bind_ends(void);

/* For the control thread: scans if due. Returns when to call again, on clock_ms(); -1: never. */
int64_t unseen_listeners_step(void);

#endif
