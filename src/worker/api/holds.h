/* Holds: work and lingering connections for which a worker stays after liveswap_main has returned. Any
 * thread. */
#ifndef LIVESWAP_WORKER_API_HOLDS_H
#define LIVESWAP_WORKER_API_HOLDS_H

#include <stdbool.h>

bool holds_setup(void);

/* A lingering connection is closed after this time, even if the client has not closed (liveswap_plugin.h). */
enum { LINGER_LIMIT_MS = 2000 };

/* A lingering connection is a hold of the worker host. */
void holds_linger_began(void);
void holds_linger_ended(void);

/* Whether there is no hold now. */
bool holds_none(void);

/* Makes holds_wait() read the drain limit again. */
void holds_review(void);

/*
 * Blocks until there is no hold or the drain limit has passed. Without an order to drain, waits for lingering
 * connections only: the worker has failed, and the successor should start soon.
 */
void holds_wait(void);

#endif
