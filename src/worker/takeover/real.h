/*
 * libc's own functions, behind those of the same name that the host defines and exports. The application's
 * references, and those of its libraries, meet the host's; the host's own code that must not be looked at calls
 * these.
 */
#ifndef LIVESWAP_WORKER_REAL_H
#define LIVESWAP_WORKER_REAL_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <threads.h>
#include <time.h>

struct real {
  /* What is called for every connection: one line of the cache. */
  _Alignas(64) int (*accept)(int fd, struct sockaddr* address, socklen_t* size);
  int (*accept4)(int fd, struct sockaddr* address, socklen_t* size, int flags);
  int (*close)(int fd);
  int (*fcntl)(int fd, int command, ...);
  int (*ioctl)(int fd, unsigned long request, ...);
  int (*poll)(struct pollfd* fds, nfds_t count, int timeout);
  int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event* event);
  int (*epoll_wait)(int epoll, struct epoll_event* events, int count, int limit);
  int (*bind)(int fd, const struct sockaddr* address, socklen_t size);
  int (*listen)(int fd, int backlog);
  int (*connect)(int fd, const struct sockaddr* address, socklen_t size);
  int (*shutdown)(int fd, int how);
  int (*close_range)(unsigned first, unsigned last, int flags);
  int (*dup)(int fd);
  int (*dup2)(int fd, int as);
  int (*dup3)(int fd, int as, int flags);
  int (*ppoll)(struct pollfd* fds, nfds_t count, const struct timespec* timeout, const sigset_t* mask);
  int (*select)(int count, fd_set* in, fd_set* out, fd_set* failed, struct timeval* timeout);
  int (*pselect)(int count, fd_set* in, fd_set* out, fd_set* failed, const struct timespec* timeout,
                 const sigset_t* mask);
  int (*epoll_pwait)(int epoll, struct epoll_event* events, int count, int limit, const sigset_t* mask);
  int (*epoll_pwait2)(int epoll, struct epoll_event* events, int count, const struct timespec* limit, const sigset_t* mask);
  int (*unlink)(const char* path);
  int (*unlinkat)(int directory, const char* path, int flags);
  int (*remove)(const char* path);
  long (*syscall)(long number, ...);
  __attribute__((noreturn)) void (*exit)(int status);
  __attribute__((noreturn)) void (*_exit)(int status);
  int (*daemon)(int keep_directory, int keep_streams);
  pid_t (*setsid)(void);
  int (*pthread_create)(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument);
  int (*thrd_create)(thrd_t* thread, thrd_start_t run, void* argument);
  int (*prctl)(int option, ...);
  int (*pthread_sigmask)(int how, const sigset_t* set, sigset_t* before);
  int (*sigaction)(int number, const struct sigaction* action, struct sigaction* before);
  sighandler_t (*signal)(int number, sighandler_t handler);
};

/* Filled in before the application is loaded. */
extern struct real real;

/* False when libc lacks one of them. Has been called already before the constructors of other libraries. */
bool real_setup(void);

#endif
