/*
 * Threads that may sleep in accept() (takeover/blocking_mode.h). One that does sleeps on the socket that it
 * has begun with, whatever has its number now: once another has taken the number it has to be kicked, and so
 * has one that has looked up the number and is just falling asleep. That these can be told from threads that
 * do something else, each says so before it calls.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_ACCEPT_WAITERS_H
#define LIVESWAP_WORKER_TAKEOVER_ACCEPT_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum { SLEEPER_AWAKE = -1 };

struct sleeper {
  _Alignas(64) _Atomic pid_t thread; /* 0: nobody's */
  atomic_int fd;                     /* which it may be in accept() with, or SLEEPER_AWAKE */
};

/* The calling thread's; NULL: it must not sleep. */
extern __thread struct sleeper* accept_waiters_own;

/* Before the application is loaded. */
void accept_waiters_setup(void);

/* Gives the calling thread its own, until it ends. Whether it has one, and a kick would reach it. */
bool accept_waiters_ready(void);

/* Around the call. Who takes the number away looks afterwards, so one of the two finds the other. Within a
 * handler that has interrupted another accept(), which goes on afterwards: so what there was before is kept.
 */
static inline int accept_waiters_begin(int fd) { return atomic_exchange(&accept_waiters_own->fd, fd); }
static inline void accept_waiters_end(int before) {
  atomic_store_explicit(&accept_waiters_own->fd, before, memory_order_release);
}

/* Kicks every thread but the caller's that may be in accept() with a number that bears one of the marks, with
 * this number, or at all. True: there is none. Any thread. */
bool accept_waiters_wake_marked(unsigned marks);
bool accept_waiters_wake_at(int fd);
bool accept_waiters_wake_all(void);

#endif
