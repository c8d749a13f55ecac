/*
 * The control thread steps aside while nothing happens: it gives up the application's table of descriptors for one of its
 * own. As long as two threads share a table, the kernel counts a reference for every descriptor of every call, in poll()
 * for each of its many; a server of one thread lost 2 to 5 % of its requests by that (docs/measurements.md).
 *
 * Nothing but a thread of the application can make one that shares its table again. So what comes over the channel is
 * left there; the application's thread is kicked out of its wait, which it does not notice, and starts the next control
 * thread in the call that it waits in: poll, select and epoll_wait are the gates. So this is for event loops:
 *
 *   of one thread       with more the table is shared anyway
 *   with such waits     seen to wait for a connection that it has accepted, so that it does not block in recv() instead
 *   that can be kicked  has not blocked the signals
 *
 * Whoever is at work when the control thread wants in accepts what it has just been told of, and passes a gate before it is
 * told of more. All others share their table as ever.
 */
#ifndef LIVESWAP_WORKER_ASIDE_H
#define LIVESWAP_WORKER_ASIDE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "options.h"

extern atomic_bool aside_wanted;
extern atomic_bool aside_has_loop;

/* Whether the control thread waits for aside_let_in(). One load. */
static inline bool aside_is_wanted(void) { return atomic_load_explicit(&aside_wanted, memory_order_relaxed); }

/*
 * The gate, for a thread of the application. True: the control thread shares the application's table. False: it does not,
 * and there can be no other now. Does nothing in a child. Keeps errno. In a handler that has interrupted malloc() it is as
 * little safe as pthread_create().
 */
bool aside_let_in(void);

/* Whether an event loop has been seen. One load. */
static inline bool aside_knows_loop(void) { return atomic_load_explicit(&aside_has_loop, memory_order_relaxed); }

/* The application has one. Any thread. */
void aside_note_loop(void);

/* For the control thread: something has happened. */
void aside_put_off(void);

/* For the control thread: when to step aside unless something happens, on clock_ms(), or -1. */
int64_t aside_due(void);

/*
 * For the control thread, that waits for these, the channel first. False: it stays. True: it has been aside, and its successor
 * waits for it to return from its function. Nothing else of the host's runs meanwhile: what is not among these is closed here.
 */
bool aside_step(struct pollfd* waited_for, nfds_t count, const struct options* options);

#endif
