/* A read-write lock between the worker host, which replaces descriptors and their epoll registrations, and
 * the application's calls on the same descriptors. Any thread; not async-signal-safe. */
#ifndef LIVESWAP_WORKER_TAKEOVER_EPOLL_LOCK_H
#define LIVESWAP_WORKER_TAKEOVER_EPOLL_LOCK_H

/* Exclusive: between begin and end, no epoll_ctl() and close() of the application on a listener, or on a
 * connection with FLAG_HANDOFF, runs. Begin blocks until none runs. */
void epoll_lock_begin(void);
void epoll_lock_end(void);

/* Shared: around an epoll_ctl() of the application on such a descriptor. Blocks while another thread is
 * between begin and end. */
void epoll_lock_share(void);
void epoll_lock_unshare(void);

/* In a forked child: the thread that had the lock does not exist here. */
void epoll_lock_in_child(void);

/* close() of such a descriptor, with the lock shared, so that the number is not reused during a
 * replacement. */
int epoll_lock_close(int fd);

/* dup2() onto such a descriptor, or dup3() if `flags` is not negative; likewise. */
int epoll_lock_dup(int fd, int as, int flags);

#endif
