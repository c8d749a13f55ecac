/*
 * Pointers to libc's own functions. The host exports functions of the same names; calls of the application
 * and its libraries resolve to those. The host's own code calls libc through this table where a call must not
 * be interposed.
 */
#ifndef LIVESWAP_WORKER_BASE_LIBC_H
#define LIVESWAP_WORKER_BASE_LIBC_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>

/* For a definition that replaces libc's for the application and its libraries (worker.list). */
#define INTERPOSED __attribute__((visibility("default"), hot))

/* For code that few calls reach: kept out of the hot function. */
#define COLD __attribute__((noinline, cold))

struct libc {
  /* Called for every connection or request: together in a few cache lines. */
  _Alignas(64) int (*accept)(int fd, struct sockaddr* address, socklen_t* size);
  int (*accept4)(int fd, struct sockaddr* address, socklen_t* size, int flags);
  int (*close)(int fd);
  int (*fcntl)(int fd, int command, ...);
  int (*ioctl)(int fd, unsigned long request, ...);
  int (*poll)(struct pollfd* fds, nfds_t count, int timeout);
  int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event* event);
  int (*epoll_wait)(int epoll, struct epoll_event* events, int count, int limit);
  ssize_t (*read)(int fd, void* bytes, size_t size);
  ssize_t (*recv)(int fd, void* bytes, size_t size, int flags);
  ssize_t (*readv)(int fd, const struct iovec* parts, int count);
  ssize_t (*recvmsg)(int fd, struct msghdr* message, int flags);
  ssize_t (*write)(int fd, const void* bytes, size_t size);
  ssize_t (*send)(int fd, const void* bytes, size_t size, int flags);
  ssize_t (*writev)(int fd, const struct iovec* parts, int count);
  ssize_t (*sendmsg)(int fd, const struct msghdr* message, int flags);
  ssize_t (*recvfrom)(int fd, void* bytes, size_t size, int flags, struct sockaddr* from,
                      socklen_t* from_size);
  ssize_t (*sendto)(int fd, const void* bytes, size_t size, int flags, const struct sockaddr* to,
                    socklen_t to_size);
  int (*sendmmsg)(int fd, struct mmsghdr* messages, unsigned count, int flags);
  ssize_t (*sendfile64)(int to, int from, off64_t* offset, size_t size);
  ssize_t (*splice)(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags);
  int (*vdprintf)(int fd, const char* format, va_list values);
  int (*__vdprintf_chk)(int fd, int flag, const char* format, va_list values);
  ssize_t (*__read_chk)(int fd, void* bytes, size_t size, size_t room);
  ssize_t (*__recv_chk)(int fd, void* bytes, size_t size, size_t room, int flags);
  ssize_t (*__recvfrom_chk)(int fd, void* bytes, size_t size, size_t room, int flags, struct sockaddr* from,
                            socklen_t* from_size);
  int (*bind)(int fd, const struct sockaddr* address, socklen_t size);
  int (*listen)(int fd, int backlog);
  int (*connect)(int fd, const struct sockaddr* address, socklen_t size);
  int (*shutdown)(int fd, int how);
  int (*setsockopt)(int fd, int level, int name, const void* value, socklen_t size);
  int (*close_range)(unsigned first, unsigned last, int flags);
  int (*dup)(int fd);
  int (*dup2)(int fd, int as);
  int (*dup3)(int fd, int as, int flags);
  int (*ppoll)(struct pollfd* fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask);
  int (*select)(int count, fd_set* in, fd_set* out, fd_set* failed, struct timeval* timeout);
  int (*pselect)(int count, fd_set* in, fd_set* out, fd_set* failed, const struct timespec* timeout,
                 const sigset_t* mask);
  int (*epoll_pwait)(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask);
  int (*epoll_pwait2)(int epoll, struct epoll_event* events, int count, const struct timespec* limit,
                      const sigset_t* mask);
  int (*unlink)(const char* path);
  int (*unlinkat)(int directory, const char* path, int flags);
  int (*remove)(const char* path);
  int (*rename)(const char* from, const char* to);
  int (*renameat)(int from_directory, const char* from, int to_directory, const char* to);
  int (*renameat2)(int from_directory, const char* from, int to_directory, const char* to, unsigned flags);
  long (*syscall)(long number, ...);
  __attribute__((noreturn)) void (*exit)(int status);
  __attribute__((noreturn)) void (*_exit)(int status);
  int (*daemon)(int keep_directory, int keep_streams);
  pid_t (*setsid)(void);
  int (*pthread_create)(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                        void* argument);
  int (*thrd_create)(thrd_t* thread, thrd_start_t run, void* argument);
  int (*prctl)(int option, ...);
  int (*pthread_sigmask)(int how, const sigset_t* set, sigset_t* before);
  int (*sigaction)(int number, const struct sigaction* action, struct sigaction* before);
  sighandler_t (*signal)(int number, sighandler_t handler);
};

/* Filled in before the application is loaded, then only read. */
extern struct libc libc;

/* False when libc lacks one of the functions. Idempotent; first called before constructors of libraries
 * run. */
bool libc_setup(void);

#endif
