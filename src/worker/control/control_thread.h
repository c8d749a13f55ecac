/*
 * The control thread receives the master's frames, and does everything that must not depend on the
 * application's own threads. The thread has a small stack, blocks every signal, does not use malloc(), and
 * waits in poll() while nothing happens. When idle, it parks (parking.h).
 */
#ifndef LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H
#define LIVESWAP_WORKER_CONTROL_CONTROL_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Called once, before control_thread_start(). False, with errno. */
bool control_thread_setup(void);

/* Starts the control thread. Called by a thread of the application while there is no control thread
 * (parking.h). False, with errno: no more threads are possible. */
bool control_thread_start(void);

/* Starts a thread of the worker host: with a small stack, and every signal blocked. False, with errno. */
bool control_thread_make(pthread_t* thread, void* (*run)(void*), void* argument);

#endif
