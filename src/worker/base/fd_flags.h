/*
 * Flags of each descriptor number: which descriptors need more than libc's function. For a descriptor
 * without flags, the check costs one load.
 *
 * Flags are hints only. A number can be closed and reused unseen (fclose, raw system calls), so a caller that
 * finds a flag checks the socket itself (listeners_find) before acting on it.
 */
#ifndef LIVESWAP_WORKER_BASE_FD_FLAGS_H
#define LIVESWAP_WORKER_BASE_FD_FLAGS_H

#include <stdatomic.h>
#include <stdint.h>

enum fd_flag {
  FLAG_HELD = 1,       /* a listener that the master holds */
  FLAG_BLOCKING = 2,   /* the application treats the listener as blocking (takeover/blocking_mode.h) */
  FLAG_POLLED = 4,     /* the application waits for this listener by poll or select */
  FLAG_REVOKED = 8,    /* a placeholder has replaced the listener (takeover/revoke.h) */
  FLAG_HOST = 16,      /* the worker host's own: not for the application to close */
  FLAG_OWN = 32,       /* a listener that the application made and the master does not hold */
  FLAG_INHERITED = 64, /* in a forked child: a listener that the worker's master holds */
  FLAG_HANDOFF = 128,  /* a connection that is being replaced right now (retire/idle_connections.c) */
  FLAG_EPOLLED = 256,  /* the application waits for this listener by epoll */
  FLAG_SEEN = 512,     /* the first wait on this listener was reported to the master (WAITS) */
};

/* Descriptors from here on never get flags, so their listeners are not taken over. */
enum { FD_FLAGS_MAX = 65536 };

extern _Atomic(uint16_t) fd_flags_table[FD_FLAGS_MAX];

/* No descriptor from here on has had a flag. A scan up to here touches few pages of the table, and each is a
 * page fault in a forked child. */
extern atomic_int fd_flags_end;

/* Counts all changes: a thread may cache what it knows of a descriptor until this number changes. */
extern atomic_uint fd_flags_changes;

static inline unsigned fd_flags(int fd) {
  return (unsigned)fd < FD_FLAGS_MAX ? atomic_load_explicit(&fd_flags_table[fd], memory_order_relaxed) : 0;
}

/* The flags for a copy of `fd`. A copy of the worker host's own descriptor is the application's, and a copy
 * of a connection that is being replaced is not itself replaced. */
static inline unsigned fd_flags_for_copy(int fd) {
  return fd_flags(fd) & ~(unsigned)(FLAG_HOST | FLAG_HANDOFF);
}

static inline void fd_flags_raise_end(int fd) {
  int end = atomic_load(&fd_flags_end);
  while (end <= fd && !atomic_compare_exchange_weak(&fd_flags_end, &end, fd + 1)) continue;
}

static inline void fd_flags_set(int fd, unsigned flags) {
  if ((unsigned)fd < FD_FLAGS_MAX) {
    if (flags != 0) fd_flags_raise_end(fd);
    atomic_store_explicit(&fd_flags_table[fd], (uint16_t)flags, memory_order_relaxed);
  }
  atomic_fetch_add(&fd_flags_changes, 1);
}

static inline void fd_flags_add(int fd, unsigned flags) {
  if ((fd_flags(fd) & flags) == flags || (unsigned)fd >= FD_FLAGS_MAX) return;
  fd_flags_raise_end(fd);
  atomic_fetch_or_explicit(&fd_flags_table[fd], (uint16_t)flags, memory_order_relaxed);
  atomic_fetch_add(&fd_flags_changes, 1);
}

static inline void fd_flags_remove(int fd, unsigned flags) {
  if ((fd_flags(fd) & flags) == 0) return;
  atomic_fetch_and_explicit(&fd_flags_table[fd], (uint16_t)~flags, memory_order_relaxed);
  atomic_fetch_add(&fd_flags_changes, 1);
}

/* Marks a descriptor as the worker host's own and returns it; -1: returns -1. */
static inline int host_fd(int fd) {
  if (fd >= 0) fd_flags_set(fd, FLAG_HOST);
  return fd;
}

/* Closes such a descriptor; -1: none. */
void host_fd_close(int fd);

#endif
