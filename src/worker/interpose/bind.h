/* bind() and listen() of the application, intercepted in one of two ways: interposed (interpose/bind.c), or
 * by a seccomp filter (interpose/seccomp.c). */
#ifndef LIVESWAP_WORKER_INTERPOSE_BIND_H
#define LIVESWAP_WORKER_INTERPOSE_BIND_H

#include <stdbool.h>
#include <sys/socket.h>

/* The caller passes the call on to the kernel. */
enum { TAKEOVER_NOT_OURS = -1 };

/* Both return 0, an errno, or TAKEOVER_NOT_OURS. Both may block until the master has answered, 10 s at most.
 * Any thread but the control thread, which receives the answer. */
int takeover_bind(int fd, const struct sockaddr* address, socklen_t size);
int takeover_listen(int fd, int backlog);

/* A path is relative to the application's working directory; the master has another. False: too long, or the
 * working directory is gone. */
enum { PATH_SIZE = 4096 };
bool path_absolute(const char* path, char absolute[PATH_SIZE]);

#endif
