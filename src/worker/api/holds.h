/* What keeps a worker whose liveswap_main has returned from leaving. */
#ifndef LIVESWAP_WORKER_API_HOLDS_H
#define LIVESWAP_WORKER_API_HOLDS_H

#include <stdbool.h>

bool holds_setup(void);

/* A client that has not closed by then is gone or does not care (liveswap_plugin.h). */
enum { LINGER_LIMIT_MS = 2000 };

/* A connection that lingers counts as a hold of the host's own. */
void holds_linger_began(void);
void holds_linger_ended(void);

/* Whether nothing holds the worker now. */
bool holds_none(void);

/* Lets holds_wait look at the drain limit anew. */
void holds_review(void);

/*
 * Blocks until nothing holds the worker any more or the drain limit has passed. Without an order to drain
 * only lingering connections are waited for: the worker has failed, and its successor should not wait for it.
 */
void holds_wait(void);

#endif
