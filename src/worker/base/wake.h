/*
 * How every layer has the control thread look at what is due. The control thread polls an eventfd. If it is
 * parked (control/parking.h), the application's thread starts it at its next safe point, for which it looks
 * at SLOW_NEEDED.
 */
#ifndef LIVESWAP_WORKER_BASE_WAKE_H
#define LIVESWAP_WORKER_BASE_WAKE_H

#include <stdbool.h>

/* Called before the control thread starts. False, with errno. */
bool wake_setup(void);

/* The control thread looks at what is due as soon as it can. Any thread; async-signal-safe. */
void wake_control_thread(void);

/* For the control thread: the eventfd, readable after wake_control_thread(). */
int wake_fd(void);

/* Makes the eventfd unreadable. The control thread does that before it looks. */
void wake_clear(void);

#endif
