/*
 * Event loops. What shows that a thread is one: it waits, by poll, select or epoll, for a connection that it has accepted.
 * Who reads from it at once may be blocked there by its client. Looked for until it has been seen.
 */
#ifndef LIVESWAP_WORKER_LOOP_H
#define LIVESWAP_WORKER_LOOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/select.h>

#include "worker/aside.h"

/* The last connection that the thread has accepted, as long as nothing is known; -1. */
extern __thread int loop_newest;

/* Whether the thread may be about to show that it is one. A load, mostly. */
static inline bool loop_is_looked_for(void) { return !aside_knows_loop() && loop_newest >= 0; }

/* The thread has accepted a connection; adds it to an epoll; polls for these; waits for one of a set. `mask` is that of the
 * wait, or NULL: a loop that blocks the kicks in it is none. */
void loop_accepts(int connection);
void loop_registers(int fd);
void loop_polls(const struct pollfd* fds, nfds_t count, const sigset_t* mask);
void loop_selects(int count, const fd_set* set, const sigset_t* mask);

#endif
