/* Messages that wait for the application: a socketpair, so that the kernel keeps, bounds and polls them. */
#ifndef LIVESWAP_WORKER_LINK_INBOX_H
#define LIVESWAP_WORKER_LINK_INBOX_H

#include <stdbool.h>
#include <stddef.h>

bool inbox_setup(void);

/* False when it has no room, or when the text is none that liveswap_message could return. Never blocks. */
bool inbox_put(const char* text, size_t size);

#endif
