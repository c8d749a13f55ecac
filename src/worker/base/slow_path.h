/*
 * One word with a bit for each reason why an interposed call may have more to do than libc's. While no bit
 * that concerns a call is set, the call costs hardly more than libc's. Any thread; async-signal-safe.
 */
#ifndef LIVESWAP_WORKER_BASE_SLOW_PATH_H
#define LIVESWAP_WORKER_BASE_SLOW_PATH_H

#include <stdatomic.h>
#include <stdbool.h>

enum slow_path {
  SLOW_READINESS = 1,   /* the first wait for a connection is looked for (api/readiness.h) */
  SLOW_LOOP = 2,        /* not known yet whether the application is an event loop (interpose/event_loop.h) */
  SLOW_NEEDED = 4,      /* the control thread is needed, and may be parked (control/parking.h) */
  SLOW_ADOPTS = 8,      /* the application may have to accept handed-off connections */
  SLOW_ADOPTABLE = 16,  /* such connections have come (takeover/adopted_connections.h) */
  SLOW_REVOKED = 32,    /* the application's listeners have been revoked (takeover/revoke.h) */
  SLOW_CHILD = 64,      /* this process is a child that the worker has forked (takeover/forked_child.h) */
  SLOW_SENT_BACK = 128, /* an accept() has sent its thread back to poll or select (interpose/poll_select.h) */
  SLOW_TRAFFIC = 256,   /* requests and answers on connections are followed (takeover/traffic.h) */
};

extern atomic_uint slow_path_now;

/* Whether any of these bits is set. */
static inline bool slow_path_has(unsigned these) {
  return (atomic_load_explicit(&slow_path_now, memory_order_relaxed) & these) != 0;
}

static inline void slow_path_add(unsigned these) { atomic_fetch_or(&slow_path_now, these); }

/* Returns whether any of them was set. */
static inline bool slow_path_remove(unsigned these) {
  return (atomic_fetch_and(&slow_path_now, ~these) & these) != 0;
}

#endif
