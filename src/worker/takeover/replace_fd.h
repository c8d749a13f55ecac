/*
 * Replaces the socket behind one of the application's descriptors, including the descriptor's registrations
 * in epolls, with the same events and data.
 *
 * An epoll registration belongs to a descriptor number and an open file. The master keeps the file open, so
 * without EPOLL_CTL_DEL the old registration would stay, report events for ever, and could not be removed any
 * more. /proc/self/fdinfo lists all registrations, also those made by raw system calls.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_REPLACE_FD_H
#define LIVESWAP_WORKER_TAKEOVER_REPLACE_FD_H

#include <stdbool.h>
#include <stdint.h>

/* Registrations of one descriptor that are moved, at most. */
enum { REGISTRATIONS_MAX = 256 };

/*
 * Replaces `fd` by `by` (borrowed) if `fd` still is the socket with `cookie`. FD_CLOEXEC of `fd` stays. Any
 * thread. Blocks while the application registers descriptors. False, with errno: nothing has changed.
 */
bool replace_fd(int fd, uint64_t cookie, int by);

/*
 * For the control thread: replaces many descriptors, those with FLAG_HANDOFF. Between replace_fd_learn() and
 * replace_fd_forget_learnt() epoll_ctl() and close() of the application on them block. learn() false, with
 * errno: some registrations may be missing, so nothing may be replaced.
 */
enum { LEARNT_MAX = 4096 };
bool replace_fd_learn(void);
bool replace_fd_learnt(int fd, uint64_t cookie, int by); /* as replace_fd() */
void replace_fd_forget_learnt(void);

/* Registers `other` in every epoll that has `fd`, with the same events and data. Returns whether there is
 * one. */
bool replace_fd_add_beside(int fd, int other);

/* Removes `fd` from every epoll, as close() does only if no other process has the file open. */
void replace_fd_forget(int fd);

/* Whether an epoll of this process has `fd`. */
bool replace_fd_is_registered(int fd);

#endif
