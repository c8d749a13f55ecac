/*
 * The control thread: receives what the master says, and does everything that must not depend on the
 * application's own threads. Small, with every signal blocked, and without malloc; asleep while nothing
 * happens.
 */
#ifndef LIVESWAP_WORKER_CONTROL_H
#define LIVESWAP_WORKER_CONTROL_H

#include <stdbool.h>

#include "options.h"

/* `options` stays borrowed. False, with errno. */
bool control_setup(const struct options* options);

/* Starts it; while there is none (aside.h). False, with errno, when there can be no thread. */
bool control_begin(void);

/*
 * In its place, while there is none: answers what has come from the master, as long as that is little. False:
 * the rest is for the control thread. Not for two threads at a time.
 */
bool control_serve_little(void);

/* Has the control thread look at what is due. Any thread. */
void control_wake(void);

/* From now on the end of the master means draining; before it, leaving at once: nobody is served yet. */
void control_entered(void);
bool control_has_entered(void);

#endif
