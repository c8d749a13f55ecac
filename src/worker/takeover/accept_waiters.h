/*
 * A table of the threads that may block in accept() (takeover/blocking_mode.h).
 *
 * A thread in accept() stays on the socket with which the call began, whatever happens to the descriptor. So
 * when a descriptor is replaced or closed, threads that use it in accept(), or are about to, must be
 * interrupted (base/thread_interrupt.h).
 *
 * Each thread publishes the descriptor before accept(). The replacing thread replaces the descriptor first
 * and scans this table second. So either the scan sees the published descriptor, or accept() already uses the
 * new socket.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_ACCEPT_WAITERS_H
#define LIVESWAP_WORKER_TAKEOVER_ACCEPT_WAITERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum { NOT_ACCEPTING = -1 };

struct accept_waiter {
  _Alignas(64) _Atomic(pid_t) thread; /* 0: the slot is free */
  atomic_int fd;                      /* accept() with this descriptor may be running; NOT_ACCEPTING: none */
};

/* The calling thread's slot; NULL: the thread must not block in accept(). */
extern __thread struct accept_waiter* accept_waiters_own;

/* Called once, before the application is loaded. */
void accept_waiters_setup(void);

/* Gives the calling thread a slot until it ends. True: the thread has a slot, and an interrupt would reach
 * it. */
bool accept_waiters_ready(void);

/* Called before and after accept(). A signal handler may call accept() while another accept() is interrupted,
 * so begin returns the previous value and end restores it. */
static inline int accept_waiters_begin(int fd) { return atomic_exchange(&accept_waiters_own->fd, fd); }
static inline void accept_waiters_end(int before) {
  atomic_store_explicit(&accept_waiters_own->fd, before, memory_order_release);
}

/* Interrupts every thread but the caller that may be in accept() with a descriptor that has one of `flags`;
 * with `fd`; or with any descriptor. True: there is no such thread (any more). Any thread. */
bool accept_waiters_wake_flagged(unsigned flags);
bool accept_waiters_wake_at(int fd);
bool accept_waiters_wake_all(void);

#endif
