/*
 * What the master needs to know of when the worker is ready (rollout/awaited.hpp): what the application says;
 * and which listeners have been seen waited for, each for the first time, also after the worker is ready,
 * since its successor has to wait for the same.
 */
#ifndef LIVESWAP_WORKER_API_READINESS_H
#define LIVESWAP_WORKER_API_READINESS_H

#include <stdbool.h>
#include <stdint.h>

#include "listeners.h"
#include "worker/base/slow_path.h"

/*
 * Announces that the application is about to be called. One that has called liveswap_ready() from a
 * constructor is announced as deferred and then as ready, so that the master always sees ENTERED first.
 */
void readiness_enter(bool deferred_by_note);

/* The application is about to bind a listener. */
void readiness_await(void);

/* It has got that listener, from which it will accept. */
void readiness_expect(const struct listener* listener);

/* It has closed one. */
void readiness_review(void);

/* `fd`, if it is a held listener, has been waited for or accepted from. */
void readiness_seen(int fd);

/* Whether it has been seen to serve, or has said that it is ready. What the master makes of that it alone
 * knows. */
bool readiness_is_over(void);

/* Whether readiness_seen() would tell anybody anything. One load. */
static inline bool readiness_is_watched(void) { return slow_path_has(SLOW_READINESS); }

/* For takeover/readiness_watch.c, which looks from outside for what no call has shown: whether a look may
 * tell anything; whether the application has a listener that was not lent, or is about to; a listener has
 * been seen waited for; one that stays the application's own has. */
bool readiness_is_looked_for(void);
bool readiness_is_awaited(void);
void readiness_note_wait(const struct listener* listener);
void readiness_note_own(uint64_t cookie);
bool readiness_own_is_noted(void);

#endif
