/*
 * The control thread: receives what the master says, and does everything that must not depend on the
 * application's own threads. Small, with every signal blocked, and without malloc; asleep while nothing
 * happens.
 */
#ifndef LIVESWAP_WORKER_CONTROL_H
#define LIVESWAP_WORKER_CONTROL_H

#include <stdbool.h>

#include "options.h"

/* `options` stays borrowed. False, with errno, when there can be no thread. */
bool control_start(const struct options* options);

/* Another one, in the calling thread's table of descriptors, that goes on when the present one has ended (aside.h). */
bool control_succeed(void);

/* Has the control thread look at what is due. Any thread. */
void control_wake(void);

/* From now on the end of the master means draining; before it, leaving at once: nobody is served yet. */
void control_entered(void);

#endif
