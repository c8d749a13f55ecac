/*
 * The control thread is there only while it has something to do. A server of one thread then is one: with a
 * second thread the kernel counts a reference for every descriptor of every call, and libc, once there has
 * been one, takes locks in malloc(); together one to five of a hundred requests (docs/measurements.md).
 *
 * It goes when nothing has happened for a while, and the application is an event loop
 * (interpose/event_loop.h) of one thread. It comes, which only a thread of the application can bring about:
 *
 *   when the master says something   the application's thread is knocked at (control/wakeup_signal.h).
 * Blocked, it starts the control thread in the handler; at work, at its next gate: poll, select, epoll_wait
 * before it could not any more     the application starts a thread, forks, makes an io_uring, blocks the
 * knocks when the application needs it    it waits for a client elsewhere than at a gate, or its entry
 * returns
 *
 * A program can begin without it: then it comes, too, when the program is not ready soon.
 */
#ifndef LIVESWAP_WORKER_CONTROL_PARKING_H
#define LIVESWAP_WORKER_CONTROL_PARKING_H

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/base/options.h"
#include "worker/base/slow_path.h"

extern atomic_bool control_thread_parked;

/* Whether there is none. One load. */
static inline bool control_thread_is_parked(void) {
  return atomic_load_explicit(&control_thread_parked, memory_order_relaxed);
}

/* Whether to pass safe_point_look(). One load. */
static inline bool control_thread_is_wanted(void) { return slow_path_has(SLOW_AT_GATES); }

/* Whether it would matter to see that the application is an event loop. One load. */
static inline bool control_thread_looks_for_loop(void) { return slow_path_has(SLOW_LOOP); }

/* The application has one. Any thread. */
void control_thread_note_loop(void);

/* Of the first thread, before the application is loaded: starts the control thread, or leaves that for later
 * where nothing speaks against it. False, with errno. */
bool control_thread_begin(const struct options* options);

/* The application is about to do something before it is ready, and gets time for that. */
void control_thread_await_readiness(void);

/* It is ready. Any thread. */
void control_thread_settle(void);

/* The thread has changed what it does with signals; before that it had blocked these. */
void control_thread_recheck_signal(const sigset_t* before);

/*
 * For a thread of the application. False: the control thread is not there, and there can be none now; it is
 * tried again. Does nothing in a child. Keeps errno. In a handler of the application's that has interrupted
 * malloc() it is as little safe as pthread_create().
 */
bool control_thread_unpark(void);

/* The same where a handler may be running: then at the next gate. `mask`: what the thread has blocked. */
void control_thread_unpark_soon(const sigset_t* mask);

/* The same, and it does not go again: after what the application is about to do, it could not come any more,
 * or would make no difference. */
void control_thread_stay(void);

/* Does what the master wants, where that is little, or has the control thread come. False: neither could be
 * done now; it is knocked again. Keeps errno. */
bool safe_point_look(void);

/* The gate, for a thread that is about to wait; with `mask`, or NULL. A load, mostly. */
void safe_point_pass(const sigset_t* mask);
static inline void safe_point(const sigset_t* mask) {
  if (control_thread_is_wanted() || (mask != NULL && control_thread_is_parked())) safe_point_pass(mask);
}

/* For the control thread: something has happened. */
void control_thread_put_off(void);

/* For the control thread: when to go unless something happens, on clock_ms(), or -1. */
int64_t control_thread_due(void);

/* For the control thread, which waits for these. True: it has to return from its function; another will come.
 */
bool control_thread_park(struct pollfd* waited_for, nfds_t count);

#endif
