/*
 * Counts connections of processes that the application has forked. A server that forks for each connection
 * closes its own copy, so the worker's descriptors do not show the connection. /proc shows which processes
 * descend from this one, which sockets they have open, and which of these are connections of the listeners.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_DESCENDANTS_H
#define LIVESWAP_WORKER_TAKEOVER_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the worker may have descendants. At most one system call. Any thread. */
bool descendants_may_be(void);

/*
 * Open connections of the listeners in descendants: children, their children, processes of this group and
 * session. A process counts as one connection if its descriptors may not be read (another user, a set-user-ID
 * program). Takes milliseconds where many processes run. Any thread; not async-signal-safe.
 */
uint64_t descendants_connections(void);

#endif
