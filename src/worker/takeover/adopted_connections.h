/*
 * Connections that the predecessor has handed off (LIVESWAP_ADOPT), which accept() of this worker's
 * application returns as if they were new.
 *
 * Each listener has an eventfd, readable while a connection waits. The eventfd is registered in the
 * application's epolls beside the listener, with the listener's data; poll, select and a waiting accept()
 * poll the eventfd beside the listener (interpose/poll_select.c, interpose/accept.c). So the application is
 * woken as for a new connection.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_ADOPTED_CONNECTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_ADOPTED_CONNECTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "contract/channel.h"
#include "worker/api/listeners.h"
#include "worker/base/slow_path.h"

extern atomic_bool adopted_accepts;

/* Whether a connection waits. One load. */
static inline bool adopted_is_waiting(void) { return slow_path_has(SLOW_ADOPTABLE); }

/* Whether connections may come. One load. */
static inline bool adopted_has_begun(void) { return slow_path_has(SLOW_ADOPTS); }

static inline bool adopted_accepts_seen(void) {
  return atomic_load_explicit(&adopted_accepts, memory_order_relaxed);
}

/* The application has called accept() on a listener, so waiting connections will be fetched sooner or
 * later. */
static inline void adopted_note_accept(void) {
  if (!adopted_accepts_seen()) atomic_store(&adopted_accepts, true);
}

/* Connections may come to this worker. Called before the application runs, so that all waits include the
 * eventfds. */
static inline void adopted_begin(void) { slow_path_add(SLOW_ADOPTS); }

/* Prepares a listener that the application has. Idempotent. */
void adopted_listener(const struct listener* listener);

/*
 * For the control thread: takes ownership of `connection`; the listener with that cookie shall accept it. The
 * predecessor gave the connection up `waited_ms` ago, or at `since` on clock_ms(). What cannot be accepted is
 * given back to the master.
 */
void adopted_put(uint64_t cookie, int connection, int64_t waited_ms);
void adopted_put_since(uint64_t cookie, int connection, int64_t since);

/*
 * For the control thread: the same for a connection of the master itself, by which the master checks that the
 * application answers. `number` is that of the ADOPT frame: TAKEN follows when accept() has returned the
 * connection, REFUSED when the application does not accept it by a call that is seen here. In a drain the
 * connection is closed. It is never given back.
 */
void adopted_put_check(uint64_t cookie, int connection, int32_t number);

/* Tells the master that the connection of a liveness check was not taken. */
void adopted_refuse_check(int32_t number, enum liveswap_refusal why);

/*
 * For the control thread: interrupts waits that do not include the eventfd, and gives connections back that
 * an application has not accepted for 2 s while no accept() of it was seen. Returns when to call again, on
 * clock_ms(); -1: never.
 */
int64_t adopted_step(void);

/* For the control thread: gives all waiting connections, and those that come later, back to the master. */
void adopted_stop(void);

/* The eventfd of the listener `fd`, borrowed; -1: none. */
int adopted_fd(int fd);

/* Returns the oldest connection that waits at listener `fd`, as accept4() would; `flags` -1: as accept(). -1:
 * none. Keeps errno. */
int adopted_accept(int fd, struct sockaddr* address, socklen_t* size, int flags);

/* Whether a connection waits at listener `fd`. */
bool adopted_has_one(int fd);

/* Repeats the application's epoll_ctl() on listener `fd` for the eventfd. The caller has the lock of
 * epoll_lock_share(). */
void adopted_mirror(int epoll, int operation, int fd, struct epoll_event* event);

/* The application has closed the listener for good. */
void adopted_forget(const struct listener* listener);

#endif
