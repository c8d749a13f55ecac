/*
 * Listeners that the application has made by raw system calls, which nobody has seen: the master does not
 * hold them, so an upgrade would refuse connections. Found by looking at the descriptors; the worker then
 * fails, and says what to do.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_UNSEEN_LISTENERS_H
#define LIVESWAP_WORKER_TAKEOVER_UNSEEN_LISTENERS_H

#include <stdint.h>

#include "worker/base/options.h"

/* The application is about to be called: looks begin. */
void unseen_listeners_watch(const struct options* options);

/* For the control thread: takes the look that is due; returns when the next one is, on clock_ms(), or -1. */
int64_t unseen_listeners_step(void);

#endif
