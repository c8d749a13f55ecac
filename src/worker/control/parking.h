/*
 * The control thread exits when idle ("parked"), so that a single-threaded application stays single-threaded.
 * With a second thread the kernel counts a reference to each descriptor of each call, which costs a
 * single-threaded application one to five percent of its throughput (docs/measurements.md).
 *
 * The control thread starts before the application is loaded. It parks when the application is ready, is an
 * event loop (interpose/event_loop.h) with one thread, and nothing has happened for a while. Only the
 * application's thread can start a control thread again, and not in a signal handler, which may have
 * interrupted malloc(). So the thread does that at safe points:
 *
 *   - before each wait in poll, select, epoll_wait and their variants, and after a signal has interrupted
 *     such a wait; and when the worker host polls for accept(),
 *   - before a request to the master (control/request.h),
 *   - before a step after which a thread can no longer be started, or after which parking gains nothing: the
 *     application starts a thread, installs a seccomp filter, makes an io_uring, or blocks in accept(),
 *   - when the entry function returns.
 *
 * At a safe point the thread checks SLOW_NEEDED and, if set, starts the control thread. The handler of the
 * wakeup signal (control/wakeup_signal.h) sets SLOW_NEEDED when the master has sent a frame;
 * base/wake sets it in all other cases.
 *
 * An application in another call, such as recv(), continues undisturbed and passes a safe point afterwards;
 * until then the worker does not answer the master. The drain limit bounds that. After the master's death the
 * signal handler ends a worker that hangs.
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

/* Whether the control thread is parked. One load. */
static inline bool control_thread_is_parked(void) {
  return atomic_load_explicit(&control_thread_parked, memory_order_relaxed);
}

/* Whether the application has not yet shown that it is an event loop; until then the control thread does not
 * park. One load. */
static inline bool control_thread_looks_for_loop(void) { return slow_path_has(SLOW_LOOP); }

/* The application is an event loop. Any thread. */
void control_thread_note_loop(void);

/* Starts the control thread. Called once by the first thread, before the application is loaded. False, with
 * errno. */
bool control_thread_begin(const struct options* options);

/* The calling thread has changed its signal mask, or the action of the wakeup signal. If the signal does not
 * reach the thread any more, the control thread stays. */
void control_thread_recheck_signal(void);

/*
 * A safe point: starts the control thread if parked. For a thread of the application; no effect in a forked
 * child. Keeps errno. False: no thread can be started now; the next safe points try again. Not to be called
 * in a signal handler that has interrupted malloc().
 */
bool control_thread_unpark(void);

/* The same, and the control thread never parks again. */
void control_thread_stay(void);

/* The safe point before a wait. `mask`: the signal mask of that wait, or NULL. */
void safe_point_pass(const sigset_t* mask);

/* The same, inline: one load unless there is something to do. */
static inline void safe_point(const sigset_t* mask) {
  if (slow_path_has(SLOW_NEEDED) || (mask != NULL && control_thread_is_parked())) safe_point_pass(mask);
}

/* For the control thread: something has happened; postpones parking. */
void control_thread_put_off(void);

/* For the control thread: when to park if nothing happens, on clock_ms(); -1: never. */
int64_t control_thread_due(void);

/* For the control thread, which polls `waited_for`: parks if nothing is pending. True: parked; the thread
 * must return from its function. */
bool control_thread_park(struct pollfd* waited_for, nfds_t count);

#endif
