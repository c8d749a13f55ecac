/* Receives the master's frames and carries them out. */
#ifndef LIVESWAP_WORKER_CONTROL_FRAMES_H
#define LIVESWAP_WORKER_CONTROL_FRAMES_H

#include <stdbool.h>

#include "worker/base/options.h"

/* Called once, before the control thread starts. `options` stays borrowed. */
void frames_setup(const struct options* options);

/* For the control thread: receives one frame and carries it out, without blocking. False: the master is
 * gone. */
bool frames_serve(void);

/* The application is loaded. From now on the worker drains when the master dies; before, it exits at once, as
 * it serves no client yet. */
void frames_entered(void);

#endif
