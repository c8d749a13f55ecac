#ifndef LIVESWAP_WORKER_DESCRIPTORS_H
#define LIVESWAP_WORKER_DESCRIPTORS_H

/*
 * Calls `visit` for every open descriptor of the process. Without malloc, whose lock a thread of the
 * application may hold for ever; other threads may open and close meanwhile, so `visit` checks what it finds.
 */
void descriptors_each(void (*visit)(int fd, void* context), void* context);

#endif
