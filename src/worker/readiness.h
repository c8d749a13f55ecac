/*
 * When the worker is ready: what the application says; else, of one that binds its own listeners, what is seen of it
 * from outside; else the master's settle time.
 */
#ifndef LIVESWAP_WORKER_READINESS_H
#define LIVESWAP_WORKER_READINESS_H

#include <stdbool.h>
#include <stdint.h>

#include "takeover/special.h"

/*
 * Announces that the application is about to be called. One that has called liveswap_ready() from a constructor is
 * announced as deferred and then as ready, so that the master always sees ENTERED first. `awaits_listener`: as if
 * readiness_await() had been called.
 */
void readiness_enter(bool deferred_by_note, bool awaits_listener);

/* The application binds a listener: without a word of its own it is ready when that has been seen in use. */
void readiness_await(void);

/* A held listener has been waited for or accepted from. Does nothing where the application speaks for itself. */
void readiness_seen(void);

/* Whether READY has been sent. */
bool readiness_is_over(void);

/* Whether readiness_seen() would tell anybody anything. One load. */
static inline bool readiness_is_watched(void) { return special_is(SPECIAL_READINESS); }

/*
 * For the control thread: looks from outside for what no call has shown (raw system calls, io_uring). Returns when to
 * look again, on clock_ms(), or -1.
 */
int64_t readiness_step(void);

#endif
