/* The listening sockets that the master has lent to this worker. */
#ifndef LIVESWAP_WORKER_LISTENERS_H
#define LIVESWAP_WORKER_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

/* `names`: parted by commas, kept and written to. False when a descriptor is missing or there are too many
 * names. */
bool listeners_adopt(char* names);

/* -1 when there is none. */
int listeners_first(void);

/* Whether `fd` is one of the listeners, or a duplicate of one; then `type` is SOCK_STREAM, SOCK_DGRAM … */
bool listeners_own(int fd, int* type);

/* Whether `fd` is a connection that came in by one of the listeners. */
bool listeners_accepted(int fd);

#endif
