#ifndef LIVESWAP_WORKER_INTERPOSE_POLL_SELECT_H
#define LIVESWAP_WORKER_INTERPOSE_POLL_SELECT_H

#include <stdbool.h>

/*
 * Whether poll() has just told the calling thread of a listener that was taken away while it waited for
 * nothing else. Asked once: it forgets.
 */
bool poll_select_was_woken(void);

/*
 * Whether the calling thread, which has found nothing to accept, may be sent back to its poll or select. Not
 * twice without having been there: it only accepts, and another thread polls.
 */
bool poll_select_may_go_back(void);

#endif
