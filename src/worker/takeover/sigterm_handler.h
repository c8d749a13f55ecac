#ifndef LIVESWAP_WORKER_TAKEOVER_SIGTERM_HANDLER_H
#define LIVESWAP_WORKER_TAKEOVER_SIGTERM_HANDLER_H

#include <stdbool.h>

/*
 * Whether the application does something of its own on SIGTERM: it has a handler, or keeps the signal blocked
 * in all of its threads to read it (signalfd, sigwait).
 */
bool sigterm_handler(void);

#endif
