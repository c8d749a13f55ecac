/*
 * Tells the master what decides about the worker's readiness (rollout/awaited.hpp): calls of liveswap_ready()
 * and liveswap_defer_ready(), and the first wait for connections on each listener. Waits are also reported
 * once the worker is ready, since the successor must wait on the same listeners. Any thread.
 */
#ifndef LIVESWAP_WORKER_API_READINESS_H
#define LIVESWAP_WORKER_API_READINESS_H

#include <stdbool.h>
#include <stdint.h>

#include "listeners.h"
#include "worker/base/slow_path.h"

/*
 * The application is about to be called. If a constructor has called liveswap_ready(), the worker is
 * announced as deferred and then as ready, so that the master always receives ENTERED first.
 */
void readiness_enter(bool deferred_by_note);

/* The application is about to bind a listener. */
void readiness_await(void);

/* The application has this listener, from which it will accept. */
void readiness_expect(const struct listener* listener);

/* The application has closed a listener. */
void readiness_review(void);

/* Called once, before the application runs: `call` is called before the first wait on each listener is
 * reported. It may call liveswap_defer_ready(). */
void readiness_before_wait(void (*call)(void));

/* If `fd` is a listener of the master: the application has waited for a connection, or accepted. */
void readiness_seen(int fd);

/* Whether the application was seen waiting for connections, or has called liveswap_ready(). Whether the
 * worker is ready is for the master to decide. */
bool readiness_is_shown(void);

/* Whether readiness_seen() would report anything. One load. */
static inline bool readiness_is_watched(void) { return slow_path_has(SLOW_READINESS); }

/* For takeover/readiness_watch.c, which scans descriptors for waits that no interposed call has shown. */

/* Whether a scan may find anything. */
bool readiness_needs_scan(void);

/* Whether the application has bound a listener, or is about to. */
bool readiness_is_awaited(void);

/* A wait on a listener that the master holds was found; on a listener that the master does not hold. */
void readiness_note_wait(const struct listener* listener);
void readiness_note_own(uint64_t cookie);

/* Whether readiness_note_own() was called. */
bool readiness_own_is_noted(void);

#endif
