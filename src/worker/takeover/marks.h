/*
 * What the host knows of a descriptor's number, at the price of one load: so that a call on any other
 * descriptor goes straight to libc. Only a hint: a number can be closed and used again in ways that nobody
 * sees (fclose, a raw system call), so whoever finds a mark looks at the socket itself (listeners_find)
 * before acting on it.
 */
#ifndef LIVESWAP_WORKER_MARKS_H
#define LIVESWAP_WORKER_MARKS_H

#include <stdatomic.h>
#include <stdint.h>

enum mark {
  MARK_HELD = 1,       /* a listener that the master holds */
  MARK_BLOCKING = 2,   /* the application believes that its O_NONBLOCK is off */
  MARK_POLLED = 4,     /* the application waits for it with poll or select */
  MARK_SEIZED = 8,     /* was one: a stand-in is in its place */
  MARK_HOST = 16,      /* the host's own: not for the application to close */
  MARK_OWN = 32,       /* listens, seen, and stays the application's own */
  MARK_INHERITED = 64, /* in a child without exec: a listener that its parent's master holds */
  MARK_MOVED = 128,    /* a connection that is just being moved (migrate.c) */
  MARK_EPOLLED = 256,  /* the application waits for it with epoll */
  MARK_SEEN = 512,     /* the master has been told that it is waited for */
};

/* Descriptors beyond are never marked: their listeners are not taken over. */
enum { MARKS_MAX = 65536 };

extern _Atomic uint16_t marks_table[MARKS_MAX];

/* Counts the changes, so that what was found out about a mark need not be found out again. */
extern atomic_uint marks_changes;

static inline unsigned marks_of(int fd) {
  return (unsigned)fd < MARKS_MAX ? atomic_load_explicit(&marks_table[fd], memory_order_relaxed) : 0;
}

static inline void marks_set(int fd, unsigned marks) {
  if ((unsigned)fd < MARKS_MAX)
    atomic_store_explicit(&marks_table[fd], (uint16_t)marks, memory_order_relaxed);
  atomic_fetch_add(&marks_changes, 1);
}

static inline void marks_add(int fd, unsigned marks) {
  if ((marks_of(fd) & marks) == marks || (unsigned)fd >= MARKS_MAX) return;
  atomic_fetch_or_explicit(&marks_table[fd], (uint16_t)marks, memory_order_relaxed);
  atomic_fetch_add(&marks_changes, 1);
}

static inline void marks_drop(int fd, unsigned marks) {
  if ((marks_of(fd) & marks) == 0) return;
  atomic_fetch_and_explicit(&marks_table[fd], (uint16_t)~marks, memory_order_relaxed);
  atomic_fetch_add(&marks_changes, 1);
}

#endif
