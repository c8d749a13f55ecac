/* The frames that the master sends over the channel, and what the worker does at each. */
#ifndef LIVESWAP_WORKER_CONTROL_FRAMES_H
#define LIVESWAP_WORKER_CONTROL_FRAMES_H

#include <stdbool.h>

#include "worker/base/options.h"

/* `options` stays borrowed. */
void frames_setup(const struct options* options);

/* For the control thread: receives one frame and does what it says. False once the master is gone. */
bool frames_serve(void);

/* The application is loaded. From now on the worker drains when the master dies; before, it exits at once,
 * since it serves nobody yet. */
void frames_entered(void);

#endif
