/*
 * What there is to look at in the application's calls, in one word: where it is 0, a call is hardly more than
 * libc's. Any thread, and handlers of signals.
 */
#ifndef LIVESWAP_WORKER_SPECIAL_H
#define LIVESWAP_WORKER_SPECIAL_H

#include <stdatomic.h>
#include <stdbool.h>

enum special {
  SPECIAL_READINESS = 1, /* the first wait for a connection shows that it is ready (worker/readiness.h) */
  SPECIAL_LOOP = 2,      /* what it does shows whether it is an event loop (loop.h) */
  SPECIAL_SAID = 4, /* there is no control thread, and the master may have said something (worker/aside.h) */
  SPECIAL_NEEDED = 8,      /* there is none, and one is needed */
  SPECIAL_ADOPTS = 16,     /* connections may come that it shall accept (adopt.h) */
  SPECIAL_ADOPTABLE = 32,  /* some have come */
  SPECIAL_SEIZED = 64,     /* its listeners have been taken from it (worker/seize.h) */
  SPECIAL_CHILD = 128,     /* it runs in a child that fork() has made of a worker (child.h) */
  SPECIAL_SENT_BACK = 256, /* some thread has been sent back to its wait (wait.h) */
  SPECIAL_TRAFFIC = 512,   /* what it sends is followed (traffic.h) */
  /* What a thread looks at before it waits. */
  SPECIAL_AT_GATES = SPECIAL_SAID | SPECIAL_NEEDED,
};

extern atomic_uint special_now;

/* Whether any of these applies. */
static inline bool special_is(unsigned these) {
  return (atomic_load_explicit(&special_now, memory_order_relaxed) & these) != 0;
}

static inline void special_begin(unsigned these) { atomic_fetch_or(&special_now, these); }

/* Whether any of them did apply. */
static inline bool special_end(unsigned these) {
  return (atomic_fetch_and(&special_now, ~these) & these) != 0;
}

#endif
