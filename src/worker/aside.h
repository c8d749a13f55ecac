/*
 * The control thread steps aside while nothing happens: it gives up the application's table of descriptors for one of its
 * own. As long as two threads share a table, the kernel counts a reference for every descriptor of every call, in poll()
 * for each of its many; a server of one thread lost 2 to 4 % of its requests by that (docs/measurements.md).
 *
 * Nothing but a thread of the application can make one that shares its table again. So what comes over the channel is
 * left there; the application is woken by its own means, as if a connection had come; and in the call that follows
 * (accept, poll, select, epoll_ctl), where it could start a thread itself, it starts the next control thread. Until then it
 * accepts nothing. Who cannot be woken so, or has threads of its own anyway, shares the table as ever.
 */
#ifndef LIVESWAP_WORKER_ASIDE_H
#define LIVESWAP_WORKER_ASIDE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

extern atomic_bool aside_wanted;
extern atomic_bool aside_accepted;

/* Whether the control thread waits for aside_let_in(). One load. */
static inline bool aside_is_wanted(void) { return atomic_load_explicit(&aside_wanted, memory_order_relaxed); }

/*
 * By a thread of the application, at a point where it may start one: when this returns, the control thread shares the
 * application's table, or there can be no thread. Does nothing where it does already, or in a child. Keeps errno.
 */
void aside_let_in(void);

/* The application has accepted from a listener that it waits for with others: it comes by when it is woken. */
static inline void aside_note_accept(void);

/* For the control thread: something has happened. */
void aside_put_off(void);

/* For the control thread: when to step aside unless something happens, on clock_ms(), or -1. */
int64_t aside_due(void);

/*
 * For the control thread, that waits for these. False: it stays. True: it has been aside, its successor has begun, and
 * waits for it to return from its function.
 */
bool aside_step(struct pollfd* waited_for, nfds_t count);

/* The first one: wakes the control thread. */
void aside_note_first_accept(void);

static inline void aside_note_accept(void) {
  if (!atomic_load_explicit(&aside_accepted, memory_order_relaxed)) aside_note_first_accept();
}

#endif
