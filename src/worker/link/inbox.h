/* Messages of `liveswap message` that wait for the application. A socketpair, so that the kernel stores them,
 * bounds them and makes them pollable. */
#ifndef LIVESWAP_WORKER_LINK_INBOX_H
#define LIVESWAP_WORKER_LINK_INBOX_H

#include <stdbool.h>
#include <stddef.h>

bool inbox_setup(void);

/* False: no room, or a text that liveswap_message() could not return. Never blocks. */
bool inbox_put(const char* text, size_t size);

#endif
