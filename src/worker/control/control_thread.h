/*
 * The control thread receives the master's frames, and does everything that must not depend on the
 * application's own threads. It has a small stack, blocks every signal and does not use malloc(). It sleeps
 * while nothing happens, and parks where it can (parking.h).
 */
#ifndef LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H
#define LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H

#include <stdbool.h>

/* Called before the control thread starts. False, with errno. */
bool control_thread_setup(void);

/* Starts it. Only called while there is none (parking.h), by a thread of the application. False, with errno,
 * when the process can have no other thread. */
bool control_thread_start(void);

#endif
