/*
 * Connections that an earlier worker has given back, and that this one's accept() returns as if they were new
 * (LIVESWAP_ADOPT). The application is woken by its own means: an eventfd stands in its epolls with the listener's
 * data, and poll and select find the listener readable (wait.c).
 */
#ifndef LIVESWAP_WORKER_ADOPT_H
#define LIVESWAP_WORKER_ADOPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

extern atomic_int adopt_waiting;

/* Whether any waits. One load. */
static inline bool adopt_is_waiting(void) { return atomic_load_explicit(&adopt_waiting, memory_order_relaxed) > 0; }

/* Readable while any waits; -1 when none has ever come. */
int adopt_fd(void);

/* For the control thread: takes `connection` over; the listener with that cookie shall accept it. */
void adopt_put(uint64_t cookie, int connection);

/* The oldest that waits at listener `fd`, as accept4 would give it, `flags` -1 as accept() would; -1: none, errno kept. */
int adopt_accept(int fd, struct sockaddr* address, socklen_t* size, int flags);

/* Whether one waits at listener `fd`. */
bool adopt_has_one(int fd);

#endif
