/*
 * Detects whether the application is an event loop, that is, whether one of its threads waits for a
 * connection that it has accepted in poll, select or epoll. Such a thread passes safe points often, so the
 * control thread may park (control/parking.h). Detection ends when an event loop was seen.
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H
#define LIVESWAP_WORKER_INTERPOSE_EVENT_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <sys/select.h>

#include "worker/control/parking.h"

/* The last connection that the thread has accepted; -1: closed again. */
extern __thread int event_loop_newest;

/* Whether the calling thread may be about to show that it is an event loop. One load, mostly. */
static inline bool event_loop_is_looked_for(void) {
  return control_thread_looks_for_loop() && event_loop_newest >= 0;
}

/* The calling thread has accepted a connection; adds a descriptor to an epoll; is about to close a
 * descriptor. */
void event_loop_accepts(int connection);
void event_loop_registers(int fd);
void event_loop_closes(int fd);

/* The calling thread waits in epoll_wait; in poll; in select, where each set may be NULL. */
void event_loop_epolls(void);
void event_loop_polls(const struct pollfd* fds, nfds_t count);
void event_loop_selects(int count, fd_set* const sets[3]);

#endif
