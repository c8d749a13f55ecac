/*
 * An idle connection goes to the successor without its client noticing (--keepalive migrate): an ended one takes its
 * place, so that the application closes it as one that its client has left, and the master passes the real one on.
 */
#ifndef LIVESWAP_WORKER_HANDOFF_H
#define LIVESWAP_WORKER_HANDOFF_H

#include <netinet/tcp.h>
#include <stdbool.h>

#include "worker/listeners.h"

/*
 * For the control thread, with the connection's TCP_INFO as it has just been read. False when the connection is not
 * idle, or a thread just took something from it: it stays the application's.
 */
bool handoff_try(int fd, const struct listener* listener, const struct tcp_info* info);

#endif
