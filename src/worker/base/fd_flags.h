/*
 * What the host knows of a descriptor's number, at the price of one load: so that a call on any other
 * descriptor goes straight to libc. Only a hint: a number can be closed and used again in ways that nobody
 * sees (fclose, a raw system call), so whoever finds a mark looks at the socket itself (listeners_find)
 * before acting on it.
 */
#ifndef LIVESWAP_WORKER_BASE_FD_FLAGS_H
#define LIVESWAP_WORKER_BASE_FD_FLAGS_H

#include <stdatomic.h>
#include <stdint.h>

enum fd_flag {
  FLAG_HELD = 1,       /* a listener that the master holds */
  FLAG_BLOCKING = 2,   /* the application believes that its O_NONBLOCK is off */
  FLAG_POLLED = 4,     /* the application waits for it with poll or select */
  FLAG_SEIZED = 8,     /* was one: a stand-in is in its place */
  FLAG_HOST = 16,      /* the host's own: not for the application to close */
  FLAG_OWN = 32,       /* listens, seen, and stays the application's own */
  FLAG_INHERITED = 64, /* in a child without exec: a listener that its parent's master holds */
  FLAG_MOVED = 128,    /* a connection that is just being moved (retire/idle_connections.c) */
  FLAG_EPOLLED = 256,  /* the application waits for it with epoll */
  FLAG_SEEN = 512,     /* the master has been told that it is waited for */
};

/* Descriptors beyond are never marked: their listeners are not taken over. */
enum { FD_FLAGS_MAX = 65536 };

extern _Atomic uint16_t fd_flags_table[FD_FLAGS_MAX];

/* Counts the changes, so that what was found out about a mark need not be found out again. */
extern atomic_uint fd_flags_changes;

static inline unsigned fd_flags(int fd) {
  return (unsigned)fd < FD_FLAGS_MAX ? atomic_load_explicit(&fd_flags_table[fd], memory_order_relaxed) : 0;
}

static inline void fd_flags_set(int fd, unsigned marks) {
  if ((unsigned)fd < FD_FLAGS_MAX)
    atomic_store_explicit(&fd_flags_table[fd], (uint16_t)marks, memory_order_relaxed);
  atomic_fetch_add(&fd_flags_changes, 1);
}

static inline void fd_flags_add(int fd, unsigned marks) {
  if ((fd_flags(fd) & marks) == marks || (unsigned)fd >= FD_FLAGS_MAX) return;
  atomic_fetch_or_explicit(&fd_flags_table[fd], (uint16_t)marks, memory_order_relaxed);
  atomic_fetch_add(&fd_flags_changes, 1);
}

static inline void fd_flags_remove(int fd, unsigned marks) {
  if ((fd_flags(fd) & marks) == 0) return;
  atomic_fetch_and_explicit(&fd_flags_table[fd], (uint16_t)~marks, memory_order_relaxed);
  atomic_fetch_add(&fd_flags_changes, 1);
}

#endif
