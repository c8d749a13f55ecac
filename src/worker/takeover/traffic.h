/*
 * Follows what the application sends on accepted connections, as far as HTTP/1.x (takeover/http_answer.h), so
 * that a pause within an answer is not taken for its end: the kernel knows when bytes were sent, but not what
 * they were.
 *
 * The interposed calls (interpose/send.c, interpose/receive.c) record their bytes here, in an entry for each
 * descriptor, from accept() on. Some bytes are not seen: those sent by stdio, io_uring, raw system calls or a
 * child. So the bytes of each connection are counted, and an entry is used only if its count agrees with the
 * kernel's. That also detects a descriptor that was closed and reused.
 *
 * Two threads that send on one connection at once may garble its entry. Servers for HTTP/1.x do not do that,
 * and the count detects it.
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

/* Connections with larger descriptors are not followed. */
enum { TRAFFIC_MAX = 65536 };

struct traffic {
  _Alignas(32) _Atomic(uint64_t) sent; /* bytes since the connection began */
  _Atomic(uint64_t) answer[2];         /* struct answer */
  atomic_bool followed;
};

extern struct traffic traffic_table[TRAFFIC_MAX];

/* Whether bytes on `fd` are followed. One load. Any thread; async-signal-safe. */
static inline bool traffic_is_followed(int fd) {
  return (unsigned)fd < TRAFFIC_MAX &&
         atomic_load_explicit(&traffic_table[fd].followed, memory_order_relaxed);
}

/* Connections that are accepted from here on are followed. */
static inline void traffic_follow(void) { slow_path_add(SLOW_TRAFFIC); }

/* The application has accepted a new connection. */
void traffic_accepted(int fd);

/* The application has accepted a connection that was handed off. */
void traffic_adopted(int fd);

/* For a followed descriptor: the application has sent `size` bytes: these; from these parts; from a file. */
void traffic_sent(int fd, const void* bytes, size_t size);
void traffic_sent_parts(int fd, const struct iovec* parts, size_t count, size_t size);
void traffic_sent_file(int fd, size_t size);

/* For a followed descriptor: the application has sent unknown bytes. Stops following. */
void traffic_lost(int fd);

/* For a followed descriptor: the application has received these bytes. */
void traffic_received(int fd, const void* bytes, size_t size);

/* Bytes counted as sent; 0 if not followed. */
static inline uint64_t traffic_noted(int fd) {
  return traffic_is_followed(fd) ? atomic_load_explicit(&traffic_table[fd].sent, memory_order_acquire) : 0;
}

/*
 * During a drain, the state of the answer: ANSWER_UNKNOWN, ANSWER_COMPLETE or ANSWER_UNFINISHED. In two cases
 * the bytes do not decide. They count as unfinished for half of the drain limit, then as complete:
 *
 *   - A head was sent without the body that it announces, and the client is still there. The request may have
 *     been an unseen HEAD, whose answer has no body.
 *   - Bytes were received, and no answer has begun. They may be the rest of a request whose answer was sent
 *     early.
 *
 * `connection` is NULL for a Unix socket: the kernel does not count bytes there. For the control thread.
 */
enum http_answer_state traffic_answer(int fd, const struct connection* connection);

static inline bool traffic_is_answering(int fd, const struct connection* connection) {
  return traffic_answer(fd, connection) == ANSWER_UNFINISHED;
}

#endif
