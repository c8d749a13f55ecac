/*
 * Wakes the control thread, for all layers. The control thread polls an eventfd. While it is parked
 * (control/parking.h), SLOW_NEEDED makes the application's thread start it at the next safe point.
 */
#ifndef LIVESWAP_WORKER_BASE_WAKE_H
#define LIVESWAP_WORKER_BASE_WAKE_H

#include <stdbool.h>

#include "slow_path.h"

/* Called once, before the control thread starts. False, with errno. */
bool wake_setup(void);

/* Makes the control thread call all its step functions soon (revoke_step(), retire_step() …). Any thread;
 * async-signal-safe. */
void wake_control_thread(void);

/* Starts a parked control thread; does not wake a running one. For work that a running control thread notices
 * in its poll(), and for which the control thread checks before it parks. Any thread; async-signal-safe. */
static inline void wake_if_parked(void) { slow_path_add(SLOW_NEEDED); }

/* For the control thread: the eventfd, readable after wake_control_thread(). Borrowed. */
int wake_fd(void);

/* Resets the eventfd. The control thread does that before it calls the step functions. */
void wake_clear(void);

#endif
