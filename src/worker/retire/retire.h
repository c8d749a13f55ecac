/*
 * Drains an application that does not drain by itself. The worker host revokes the listeners, counts
 * connections, those of forked processes included, and closes idle ones or hands them to the successor. When
 * none is left, the application's SIGTERM handler runs, if there is one, and the process ends.
 */
#ifndef LIVESWAP_WORKER_RETIRE_RETIRE_H
#define LIVESWAP_WORKER_RETIRE_RETIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/base/options.h"

/* For the control thread, once. `succeeded`: a successor adopts connections that are handed off. */
void retire_begin(const struct options* options, bool succeeded);

/* For the control thread: takes the steps that are due. Returns when to call again, on clock_ms(); -1: never.
 * May end the process. */
int64_t retire_step(void);

/* Whether the application is being retired: any result of the application is then no failure. Any thread. */
bool retire_has_begun(void);

#endif
