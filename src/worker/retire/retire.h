/*
 * The end of an application that does not drain by itself. Its listeners are taken away, its connections
 * counted from outside, idle ones ended or handed to the successor; those of processes that it has forked are
 * waited for. When none is left, its own SIGTERM handler gets its turn, and then the process ends.
 */
#ifndef LIVESWAP_WORKER_RETIRE_RETIRE_H
#define LIVESWAP_WORKER_RETIRE_RETIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/base/options.h"

/* All for the control thread. `succeeded`: a successor takes over what is handed off. */
void retire_begin(const struct options* options, bool succeeded);

/* Takes the steps that are due; returns when the next one is, on clock_ms(), or -1. May end the process. */
int64_t retire_step(void);

/* Any thread: whether it has begun, so that what the application returns is no failure. */
bool retire_has_begun(void);

#endif
