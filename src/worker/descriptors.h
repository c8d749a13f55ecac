#ifndef LIVESWAP_WORKER_DESCRIPTORS_H
#define LIVESWAP_WORKER_DESCRIPTORS_H

#include <stdbool.h>

/*
 * Calls `visit` for every open descriptor of the process. Without malloc, whose lock a thread of the
 * application may hold for ever; other threads may open and close meanwhile, so `visit` checks what it finds.
 */
void descriptors_each(void (*visit)(int fd, void* context), void* context);

/* Whether /proc/self/fd says that it is a link to `kind`: "anon_inode:[eventpoll]". */
bool descriptor_is(int fd, const char* kind);

#endif
