/* The frames that the master sends over the channel, and what the worker does at each. */
#ifndef LIVESWAP_WORKER_CONTROL_FRAMES_H
#define LIVESWAP_WORKER_CONTROL_FRAMES_H

#include <stdbool.h>

#include "worker/base/options.h"

/* `options` stays borrowed. */
void frames_setup(const struct options* options);

/* For the control thread: receives one frame and does what it says. False once the master is gone. */
bool frames_serve(void);

/*
 * In its place, while there is none: answers what has come from the master, as long as that is little. False:
 * the rest is for the control thread. Not for two threads at a time.
 */
bool frames_serve_brief(void);

/* From now on the end of the master means draining; before it, leaving at once: nobody is served yet. */
void frames_entered(void);
bool frames_have_entered(void);

#endif
