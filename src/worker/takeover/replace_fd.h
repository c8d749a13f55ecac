/*
 * Putting another socket in a descriptor's place, under the application's hands: every duplicate of the
 * number in its epolls goes along, with the same events and data.
 *
 * An epoll knows a socket by number and open file. Somebody else keeps the file alive, so without
 * EPOLL_CTL_DEL the old registration would stay and fire for ever, and nobody could remove it any more. The
 * kernel lists what is registered in /proc/self/fdinfo, also what was registered by a raw system call.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_REPLACE_FD_H
#define LIVESWAP_WORKER_TAKEOVER_REPLACE_FD_H

#include <stdbool.h>
#include <stdint.h>

/* At most so many registrations of one descriptor are moved. */
enum { REGISTRATIONS_MAX = 256 };

/*
 * Puts `by`, which stays the caller's, in the place of `fd`, whose FD_CLOEXEC stays, if that still is the
 * socket with `cookie`. Any thread. False, with errno, when it could not be; then nothing has changed.
 */
bool replace_fd(int fd, uint64_t cookie, int by);

/*
 * Many at once, for the control thread: those that bear FLAG_MOVED. Between replace_fd_learn() and
 * replace_fd_forget_learnt() the application's epoll_ctl() and close() of them wait. False: not all
 * registrations could be learnt, nothing is to be swapped.
 */
enum { LEARNT_MAX = 4096 };
bool replace_fd_learn(void);
bool replace_fd_learnt(int fd, uint64_t cookie, int by); /* as replace_fd() */
void replace_fd_forget_learnt(void);

/* Adds `other` to every epoll that `fd` is in, with the same events and data. Whether there was any. */
bool replace_fd_add_beside(int fd, int other);

/* Takes `fd` out of every epoll: what close() does, as long as nobody else has the file. */
void replace_fd_forget(int fd);

/* Whether an epoll of the process has it. */
bool replace_fd_is_registered(int fd);

#endif
