/* Properties of sockets. Any thread; nothing blocks. */
#ifndef LIVESWAP_WORKER_BASE_SOCKET_H
#define LIVESWAP_WORKER_BASE_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* SO_COOKIE, the kernel's unique number of a socket. False: not a socket. */
bool socket_cookie(int fd, uint64_t* cookie);

/* Whether `fd` is the socket with that cookie. */
bool socket_is(int fd, uint64_t cookie);

/* The value of an int option of level SOL_SOCKET; -1, with errno. */
int socket_option(int fd, int option);

/* Whether `fd` is a listening socket. */
bool socket_listens(int fd);

/* Sets O_NONBLOCK, for every process that shares the socket. Keeps errno. */
void socket_end_blocking(int fd);

/* Whether the peer or shutdown() has ended reading: a read returns end of file behind what is queued. */
bool socket_is_ended(int fd);

/* Copies an option of level SOL_SOCKET whose value is a struct timeval: SO_RCVTIMEO or SO_SNDTIMEO. */
void socket_copy_limit(int from, int to, int option);

/* The time limit of accept() on this socket (SO_RCVTIMEO), in ms; -1: none. */
int socket_receive_limit(int fd);

#endif
