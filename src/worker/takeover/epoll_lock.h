/* What the calls that the host sees (interpose/bind.c, interpose/accept.c, interpose/poll_select.c,
 * interpose/descriptors.c) share. */
#ifndef LIVESWAP_WORKER_TAKEOVER_EPOLL_LOCK_H
#define LIVESWAP_WORKER_TAKEOVER_EPOLL_LOCK_H

#include <stdbool.h>

/* Between these no epoll_ctl() of the application on a listener, or on what is being moved, goes on. Blocks
 * until none does. */
void epoll_lock_begin(void);
void epoll_lock_end(void);

/* Around an epoll_ctl() of the application on such a descriptor: many threads at a time. Blocks while another
 * thread is between begin and end. */
void epoll_lock_share(void);
void epoll_lock_unshare(void);

/* In a child of fork(): whoever had the lock does not exist here. */
void epoll_lock_in_child(void);

/* close() of a listener, or of what may just be being moved: not within those, so that no other descriptor
 * gets the number. */
int epoll_lock_close(int fd);

/* dup2() onto such a one, or dup3() where `flags` is not negative, likewise. */
int epoll_lock_dup(int fd, int as, int flags);

#endif
