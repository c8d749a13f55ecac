/*
 * What there is to look at in the application's calls, in one word: where it is 0, a call is hardly more than
 * libc's. Any thread, and handlers of signals.
 */
#ifndef LIVESWAP_WORKER_BASE_SLOW_PATH_H
#define LIVESWAP_WORKER_BASE_SLOW_PATH_H

#include <stdatomic.h>
#include <stdbool.h>

enum slow_path {
  SLOW_READINESS = 1, /* the first wait for a connection shows that it is ready (api/readiness.h) */
  SLOW_LOOP = 2,      /* what it does shows whether it is an event loop (interpose/event_loop.h) */
  SLOW_SAID = 4, /* there is no control thread, and the master may have said something (control/parking.h) */
  SLOW_NEEDED = 8,      /* there is none, and one is needed */
  SLOW_ADOPTS = 16,     /* connections may come that it shall accept (takeover/adopted_connections.h) */
  SLOW_ADOPTABLE = 32,  /* some have come */
  SLOW_SEIZED = 64,     /* its listeners have been taken from it (takeover/revoke.h) */
  SLOW_CHILD = 128,     /* it runs in a child that fork() has made of a worker (takeover/forked_child.h) */
  SLOW_SENT_BACK = 256, /* some thread has been sent back to its wait (interpose/poll_select.h) */
  SLOW_TRAFFIC = 512,   /* what it sends is followed (takeover/traffic.h) */
  /* What a thread looks at before it waits. */
  SLOW_AT_GATES = SLOW_SAID | SLOW_NEEDED,
};

extern atomic_uint slow_path_now;

/* Whether any of these applies. */
static inline bool slow_path_has(unsigned these) {
  return (atomic_load_explicit(&slow_path_now, memory_order_relaxed) & these) != 0;
}

static inline void slow_path_add(unsigned these) { atomic_fetch_or(&slow_path_now, these); }

/* Whether any of them did apply. */
static inline bool slow_path_remove(unsigned these) {
  return (atomic_fetch_and(&slow_path_now, ~these) & these) != 0;
}

#endif
