#ifndef LIVESWAP_WORKER_INTERPOSE_POLL_SELECT_H
#define LIVESWAP_WORKER_INTERPOSE_POLL_SELECT_H

#include <stdbool.h>

/*
 * Whether the calling thread's last poll() has returned only because its one listener was revoked. Resets the
 * answer.
 */
bool poll_select_was_woken(void);

/*
 * After an accept() by `fd` that has found no connection: whether the calling thread came from poll or select
 * and should return there. True only for the first such accept() by each listener after a poll or select,
 * which may have reported several. At a further one by the same listener, the thread does not poll itself
 * (another thread does), so its accept() must wait.
 */
bool poll_select_may_go_back(int fd);

#endif
