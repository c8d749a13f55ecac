/* What the kernel tells of a socket, and how it is made not to block. Any thread; none of them blocks. */
#ifndef LIVESWAP_WORKER_BASE_SOCKET_H
#define LIVESWAP_WORKER_BASE_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* SO_COOKIE; false when it is no socket. */
bool socket_cookie(int fd, uint64_t* cookie);

/* SO_ACCEPTCONN */
bool socket_listens(int fd);

/* From here on it does not block, for whoever has it. Keeps errno. */
void socket_end_blocking(int fd);

/* How long accept() waits, as SO_RCVTIMEO says: in ms, -1 without end. */
int socket_receive_limit(int fd);

#endif
