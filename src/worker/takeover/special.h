/*
 * What there is to look at in the application's calls, in one word: a call that nothing of it concerns costs one load more
 * than libc's. Any thread, and handlers of signals.
 */
#ifndef LIVESWAP_WORKER_SPECIAL_H
#define LIVESWAP_WORKER_SPECIAL_H

#include <stdatomic.h>
#include <stdbool.h>

enum special {
  SPECIAL_READINESS = 1, /* the first wait for a connection shows that it is ready (worker/readiness.h) */
  SPECIAL_LOOP = 2,      /* what it does shows whether it is an event loop (loop.h) */
  SPECIAL_WANTED = 4,    /* the control thread is wanted (worker/aside.h) */
  SPECIAL_ADOPTS = 8,    /* connections may come that it shall accept (adopt.h) */
  SPECIAL_ADOPTABLE = 16, /* some have come */
  SPECIAL_SEIZED = 32,   /* its listeners have been taken from it (worker/seize.h) */
  SPECIAL_CHILD = 64,    /* it runs in a child that fork() has made of a worker (child.h) */
};

extern atomic_uint special_now;

/* Whether any of these applies. */
static inline bool special_is(unsigned these) {
  return (atomic_load_explicit(&special_now, memory_order_relaxed) & these) != 0;
}

static inline void special_begin(unsigned these) { atomic_fetch_or(&special_now, these); }

/* Whether any of them did apply. */
static inline bool special_end(unsigned these) { return (atomic_fetch_and(&special_now, ~these) & these) != 0; }

#endif
