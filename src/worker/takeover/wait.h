#ifndef LIVESWAP_WORKER_WAIT_H
#define LIVESWAP_WORKER_WAIT_H

#include <stdbool.h>

/*
 * Whether poll() has just told the calling thread of a listener that was taken away while it waited for nothing else.
 * Asked once: it forgets.
 */
bool wait_was_woken(void);

#endif
