/*
 * What the application sends on the connections that it has accepted, followed as far as HTTP/1.x
 * (takeover/http_answer.h), so that an answer which pauses is not taken for the end of one: the kernel tells
 * when something was sent, not what.
 *
 * The functions that send and receive (interpose/send.c, interpose/receive.c) note their bytes here, in a
 * place for each descriptor's number, from accept() on. Some bytes pass unseen: by stdio, an io_uring, a raw
 * system call, a child. So the bytes of each connection are counted, and compared with the kernel's count
 * before anything is believed. A number that was closed and used again shows by that, too.
 *
 * Two threads that send on one connection at once may mix up its place. HTTP/1.x has no use for that; the
 * count shows it.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_TRAFFIC_H
#define LIVESWAP_WORKER_TAKEOVER_TRAFFIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "http_answer.h"
#include "tcp_state.h"
#include "worker/base/slow_path.h"

/* Connections with larger numbers are not followed. */
enum { TRAFFIC_MAX = 65536 };

struct traffic {
  _Alignas(32) _Atomic uint64_t sent; /* bytes, since the connection began */
  _Atomic uint64_t answer[2];         /* struct answer */
  atomic_bool followed;
};

extern struct traffic traffic_table[TRAFFIC_MAX];

/* Whether the bytes matter that are sent or received there. One load. Any thread, and handlers of signals. */
static inline bool traffic_is_followed(int fd) {
  return (unsigned)fd < TRAFFIC_MAX &&
         atomic_load_explicit(&traffic_table[fd].followed, memory_order_relaxed);
}

/* Connections are followed from here on, or no more. */
static inline void traffic_follow(void) { slow_path_add(SLOW_TRAFFIC); }

/* The application has accepted a connection. */
void traffic_accepted(int fd);

/* … one on which a worker before has served. */
void traffic_adopted(int fd);

/* For a descriptor that is followed: the application has sent `size` bytes, of these; or of these parts; or
 * of a file. */
void traffic_sent(int fd, const void* bytes, size_t size);
void traffic_sent_parts(int fd, const struct iovec* parts, size_t count, size_t size);
void traffic_sent_file(int fd, size_t size);

/* … has sent nobody knows what: it is not followed any more. */
void traffic_lost(int fd);

/* … has received. */
void traffic_received(int fd, const void* bytes, size_t size);

/* How many bytes have been noted there as sent; 0 where nothing is followed. */
static inline uint64_t traffic_noted(int fd) {
  return traffic_is_followed(fd) ? atomic_load_explicit(&traffic_table[fd].sent, memory_order_acquire) : 0;
}

/*
 * How far the application is visibly with its answer, during a drain: ANSWER_UNKNOWN, ANSWER_COMPLETE or
 * ANSWER_UNFINISHED. Where it has sent a head and nothing of the body that this announces, the request may
 * have been a HEAD that was not seen: then it is unfinished only for half of the drain limit, and while the
 * client is there. Where it has received something and begun no answer since, that may be the rest of a
 * request that it has answered early: unfinished for half of the drain limit. `connection` is NULL where the
 * kernel does not count (Unix sockets). For the control thread.
 */
enum http_answer_state traffic_answer(int fd, const struct connection* connection);

static inline bool traffic_is_answering(int fd, const struct connection* connection) {
  return traffic_answer(fd, connection) == ANSWER_UNFINISHED;
}

#endif
