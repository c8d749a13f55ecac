/*
 * Connections that an earlier worker has given back, and that this one's accept() returns as if they were new
 * (LIVESWAP_ADOPT). The application is woken by its own means: each listener has an eventfd, readable while a
 * connection waits for it, that stands in its epolls with the listener's data, and that poll, select and a
 * waiting accept() look at beside it (interpose/poll_select.c, interpose/accept.c).
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_ADOPTED_CONNECTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_ADOPTED_CONNECTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "worker/api/listeners.h"
#include "worker/base/slow_path.h"

extern atomic_bool adopted_accepts;

/* Whether any waits. One load. */
static inline bool adopted_is_waiting(void) { return slow_path_has(SLOW_ADOPTABLE); }

/* Whether any may come. One load. */
static inline bool adopted_has_begun(void) { return slow_path_has(SLOW_ADOPTS); }

/* The application has called accept() on a listener: what waits will be fetched, however long it is busy. */
static inline void adopted_note_accept(void) {
  if (!atomic_load_explicit(&adopted_accepts, memory_order_relaxed)) atomic_store(&adopted_accepts, true);
}

/* Connections may come to this worker. Before the application runs, so that whoever waits can be woken. */
void adopted_begin(void);

/* The application has got this listener, or another thread has it already. */
void adopted_listener(const struct listener* listener);

/*
 * For the control thread: takes `connection` over; the listener with that cookie shall accept it. It has
 * waited for so long since the worker before gave it up. What cannot be accepted is given back to the master.
 */
void adopted_put(uint64_t cookie, int connection, int64_t waited_ms);
void adopted_put_since(uint64_t cookie, int connection, int64_t since); /* on clock_ms() */

/*
 * For the control thread: wakes threads that have slept through a connection, and gives back those that an
 * application which accepts by no call that is seen has not fetched for long. When the next step is due, on
 * clock_ms(), or -1.
 */
int64_t adopted_step(void);

/* For the control thread: no more are adopted. Those that wait, and those that come, are given back to the
 * master. */
void adopted_stop(void);

/* The eventfd of the listener that `fd` is; -1: nothing can come for it. Borrowed. */
int adopted_fd(int fd);

/* The oldest that waits at listener `fd`, as accept4 would give it, `flags` -1 as accept() would; -1: none,
 * errno kept. */
int adopted_accept(int fd, struct sockaddr* address, socklen_t* size, int flags);

/* Whether one waits at listener `fd`. */
bool adopted_has_one(int fd);

/* The application has done this with listener `fd`. The caller has the lock of epoll_lock_begin(), to
 * read. */
void adopted_mirror(int epoll, int operation, int fd, struct epoll_event* event);

/* The application has closed the listener for good. */
void adopted_forget(const struct listener* listener);

#endif
