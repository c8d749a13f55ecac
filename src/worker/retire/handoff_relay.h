/*
 * Hands an idle connection to the successor without the client noticing. retire/idle_connections.h has chosen
 * the connection.
 *
 * The worker host cannot be sure that a connection is idle: the application may have read a request that it
 * is still processing. So one end of a socket pair, the placeholder, first replaces the connection in the
 * application's descriptor. The worker host holds the other end and the connection, and relays. What happens
 * next decides:
 *
 *   - The client sends. The client had its answer, so the application owes nothing. The connection goes to
 *     the master with the bytes unread; the application reads end of file.
 *   - The application sends. It owed an answer. The host relays the answer and continues to watch.
 *   - Either side closes. The host closes the other side.
 *   - None of these, for the grace. The connection was idle and goes to the master. If the kernel cannot tell
 *     which side sent last, or if the application has sent since the replacement, the host waits for half of
 *     the drain limit first.
 *
 * A read() that was looking up the descriptor during the replacement may still take bytes from the connection
 * itself, and thus a request from the successor. So every thread that may be in such a call is interrupted
 * after the replacement, and bytes from the client stay in the connection until all these calls have ended,
 * 500 ms at most. If one has taken the beginning of a request, the application owes an answer and gets the
 * rest too.
 *
 * Needs a protocol in which the client asks, is answered, and only then asks again, without state between two
 * requests: HTTP/1.1 without TLS and pipelining.
 */
#ifndef LIVESWAP_WORKER_RETIRE_HANDOFF_RELAY_H
#define LIVESWAP_WORKER_RETIRE_HANDOFF_RELAY_H

#include <stdbool.h>
#include <stdint.h>

/* All functions are for the control thread. */

/* Called once; `grace_ms` as --keepalive-grace. False, with errno. */
bool handoff_begin(int64_t grace_ms);

/* How many more handoff_take() can take now. */
int handoff_room(void);

/* A connection as of the moment before the replacement. */
struct handoff_origin {
  uint64_t listener; /* the listener's cookie */
  int fd;            /* the application's descriptor */
  uint64_t received; /* bytes from the client that the application has read or been given */
  bool is_read;      /* a thread was seen in a read() */
};

/*
 * Takes ownership of `connection`, a duplicate (or -1: fails), and of `pair`, the host's end of the socket
 * pair. NULL: both were closed. The caller then replaces the application's descriptor by the other end, or
 * calls handoff_undo().
 */
struct handoff* handoff_take(int connection, int pair, const struct handoff_origin* origin);
void handoff_undo(struct handoff* handoff);

/* Hands off connections that were idle for the grace; closes those that the client has left. */
void handoff_look(void);

/* Whether the application processes a request, or may do so, on a connection that is not handed off yet. */
bool handoff_is_busy(void);

/* handoff_fd() is readable when handoff_serve() has work; -1 before handoff_begin(). */
int handoff_fd(void);
void handoff_serve(void);

/* There is no successor any more: from now on, connections are relayed to the application until they end. */
void handoff_give_up(void);
bool handoff_is_over(void);

/* Takes the steps that are due. Returns when to call again, on clock_ms(); -1: never. */
int64_t handoff_step(void);

#endif
