/*
 * Options that the application sets on a listener. The socket is every generation's, so the master is told,
 * and takes back what a release has set that does not serve any more.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_SOCKET_OPTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_SOCKET_OPTIONS_H

#include <sys/socket.h>

/* setsockopt() on a socket that the master holds, which need not be known as a listener yet. As
 * setsockopt(2). */
int socket_options_set(int fd, int level, int name, const void* value, socklen_t size);

/* The options that an application sets on a socket, from one to another of the same kind. */
void socket_options_copy(int from, int to);

#endif
