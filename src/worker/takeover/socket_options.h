/*
 * Options that the application sets on a listener. All generations share the socket, so the worker reports
 * each option, and the master resets those of a release that no longer serves. Any thread.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_SOCKET_OPTIONS_H
#define LIVESWAP_WORKER_TAKEOVER_SOCKET_OPTIONS_H

#include <sys/socket.h>

/* setsockopt() on a socket that the master holds, even before the socket is a known listener. Returns as
 * setsockopt(2). */
int socket_options_set(int fd, int level, int name, const void* value, socklen_t size);

/* Copies the options that applications usually set to a socket of the same kind. */
void socket_options_copy(int from, int to);

#endif
