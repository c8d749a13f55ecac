/*
 * The control thread exits when idle ("parked"), so that a single-threaded application stays single-threaded.
 * With a second thread the kernel counts a reference to each descriptor of each call, which costs an
 * application of one thread one to five of a hundred requests (docs/measurements.md).
 *
 * The control thread starts before the application is loaded. It parks when the application is ready, is an
 * event loop (interpose/event_loop.h) of one thread, and nothing has happened for a while. Only a thread of
 * the application can start it again, and only between two steps of its own: a signal handler may have
 * interrupted malloc(). Such a point is a safe point. The application's thread passes one
 *
 *   when it is about to wait in poll, select, epoll_wait or one of their kin, and each time that a signal has
 *     interrupted that wait; and when the worker host waits in accept() on its behalf,
 *   when it asks the master something (control/request.h),
 *   before a step after which the control thread could not come any more, or after which parking gains
 *     nothing: the application starts a thread, installs a filter of system calls, makes an io_uring, or
 *     sleeps in accept() in the kernel,
 *   when its entry function returns.
 *
 * At a safe point it looks at SLOW_NEEDED, and starts the control thread when that is set. The handler of the
 * wakeup signal (control/wakeup_signal.h) sets it when the master has sent something, and
 * wake_control_thread() sets it for everything else.
 *
 * An application that is in another call, recv() for one, goes on undisturbed and passes a safe point
 * afterwards. Until then it does not answer the master. The drain limit bounds that, as it bounds an
 * application that does not drain; when the master has died, the handler ends a worker that hangs.
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

/* One load. */
static inline bool control_thread_is_parked(void) {
  return atomic_load_explicit(&control_thread_parked, memory_order_relaxed);
}

/* Whether the control thread does not park because the application has not shown that it is an event loop.
 * One load. */
static inline bool control_thread_looks_for_loop(void) { return slow_path_has(SLOW_LOOP); }

/* The application is an event loop. Any thread. */
void control_thread_note_loop(void);

/* Called by the first thread before the application is loaded: starts the control thread. False, with errno.
 */
bool control_thread_begin(const struct options* options);

/* The calling thread has changed which signals it blocks, or the action of the wakeup signal: where that
 * signal does not reach it any more, the control thread is needed. */
void control_thread_recheck_signal(void);

/*
 * A safe point: starts the control thread if it is parked. For a thread of the application; does nothing in a
 * child that it has forked. Keeps errno. False: the process can have no thread now; the next safe points try
 * again. Not safe in a signal handler of the application that has interrupted malloc().
 */
bool control_thread_unpark(void);

/* The same, and the control thread does not park again. */
void control_thread_stay(void);

/* The safe point of a thread that is about to wait, with that mask of signals or NULL. */
void safe_point_pass(const sigset_t* mask);

/* The same. A load, unless there is something to do. */
static inline void safe_point(const sigset_t* mask) {
  if (slow_path_has(SLOW_NEEDED) || (mask != NULL && control_thread_is_parked())) safe_point_pass(mask);
}

/* For the control thread: something has happened. */
void control_thread_put_off(void);

/* For the control thread: when to park unless something happens, on clock_ms(); -1: never. */
int64_t control_thread_due(void);

/* For the control thread, which waits for these. True: it is parked, and has to return from its function. */
bool control_thread_park(struct pollfd* waited_for, nfds_t count);

#endif
