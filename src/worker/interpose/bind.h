/* What bind() and listen() do, however they were called: by libc's functions (interpose/bind.c) or not
 * (interpose/seccomp.c).
 */
#ifndef LIVESWAP_WORKER_INTERPOSE_BIND_H
#define LIVESWAP_WORKER_INTERPOSE_BIND_H

#include <sys/socket.h>

/* The kernel shall do what the application asked for, as if nobody had looked. */
enum { TAKEOVER_NOT_OURS = -1 };

/* Both return 0, an errno, or TAKEOVER_NOT_OURS. Any thread but the control thread, which may bring the
 * answer. */
int takeover_bind(int fd, const struct sockaddr* address, socklen_t size);
int takeover_listen(int fd, int backlog);

#endif
