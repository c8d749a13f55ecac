/*
 * The control thread: receives what the master says, and does everything that must not depend on the
 * application's own threads. Small, with every signal blocked, and without malloc; asleep while nothing
 * happens.
 */
#ifndef LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H
#define LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H

#include <stdbool.h>

/* Before it starts. False, with errno. */
bool control_thread_setup(void);

/* Starts it; while there is none (parking.h). False, with errno, when there can be no thread. */
bool control_thread_start(void);

#endif
