#ifndef LIVESWAP_WORKER_TAKEOVER_SIGTERM_HANDLER_H
#define LIVESWAP_WORKER_TAKEOVER_SIGTERM_HANDLER_H

#include <stdbool.h>

/*
 * Whether the application handles SIGTERM by a handler, or blocks the signal in all threads to read it
 * (signalfd, sigwait). Any thread; reads /proc.
 */
bool sigterm_handler(void);

#endif
