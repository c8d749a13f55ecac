/*
 * Connections in processes that the application has forked: a server that forks for each connection closes
 * its own copy of it, so that the worker's descriptors do not show it. They are found by what /proc says:
 * which processes come from this one, which sockets these have open, and which of those sockets are
 * connections of the listeners.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_DESCENDANTS_H
#define LIVESWAP_WORKER_TAKEOVER_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether there may be any such process. One system call at most. Any thread. */
bool descendants_may_be(void);

/*
 * Open connections of the listeners that processes have which come from this one: children, their children,
 * its process group, its session. A process counts as one connection when its descriptors cannot be read,
 * since it has changed its user or runs a program that may not be looked at. Takes milliseconds where many
 * processes run; not from a signal handler.
 */
uint64_t descendants_connections(void);

#endif
