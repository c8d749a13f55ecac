/*
 * Event loops. What shows that a thread is one: it waits, by poll, select or epoll, for a connection that it
 * has accepted. Who does not, and leaves it blocking, may be held up by a client in a call that would show
 * that it was interrupted, so it has a control thread (control/parking.h). Looked for until it has been seen.
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H
#define LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/select.h>

#include "worker/control/parking.h"

/* The last connection that the thread has accepted, as long as nothing is known; -1. */
extern __thread int event_loop_newest;

/* Whether the thread may be about to show that it is one. A load, mostly. */
static inline bool event_loop_is_looked_for(void) {
  return control_thread_looks_for_loop() && event_loop_newest >= 0;
}

/* The thread has accepted a connection; adds it to an epoll; is about to close it. */
void event_loop_accepts(int connection);
void event_loop_registers(int fd);
void event_loop_closes(int fd);

/* It waits for an epoll. */
void event_loop_epolls(bool waits);

/* It polls for these; selects three sets, or NULL each; waits for nothing but the next connection. `waits`:
 * it does not only have a look. */
void event_loop_polls(const struct pollfd* fds, nfds_t count, bool waits);
void event_loop_selects(int count, fd_set* const sets[3], bool waits);
void event_loop_blocks(void);

#endif
