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

/* Called around a bind() that is taken over. Between the master's listen() and the entry in the worker host's
 * list, the socket looks like an unseen listener, so no scan runs meanwhile. Any thread. */
void unseen_listeners_bind_begins(void);
void unseen_listeners_bind_ends(void);

/* For the control thread: scans if due. Returns when to call again, on clock_ms(); -1: never. */
int64_t unseen_listeners_step(void);

#endif
