/*
 * Whether the application is an event loop: whether a thread of it waits, by poll, select or epoll, for a
 * connection that it has accepted. Such a thread passes a safe point often, so its control thread may park
 * (control/parking.h). Looked for until it has been seen once.
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H
#define LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <sys/select.h>

#include "worker/control/parking.h"

/* The connection that the thread has accepted last; -1 when it has closed it. */
extern __thread int event_loop_newest;

/* Whether the calling thread may be about to show that it is an event loop. One load, mostly. */
static inline bool event_loop_is_looked_for(void) {
  return control_thread_looks_for_loop() && event_loop_newest >= 0;
}

/* The thread has accepted a connection; adds a descriptor to an epoll; is about to close a descriptor. */
void event_loop_accepts(int connection);
void event_loop_registers(int fd);
void event_loop_closes(int fd);

/* The thread waits for an epoll; for these descriptors; for three sets, each of which may be NULL. */
void event_loop_epolls(void);
void event_loop_polls(const struct pollfd* fds, nfds_t count);
void event_loop_selects(int count, fd_set* const sets[3]);

#endif
