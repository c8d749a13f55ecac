/*
 * An idle connection goes to the successor without its client noticing (--keepalive migrate).
 *
 * From outside nobody can tell for sure that a connection is idle: a request may have been read that is still worked on.
 * So it is tried out. A stand-in, one end of a socket pair, takes the connection's place; the host holds the other end
 * and the connection. What happens next shows what it was:
 *
 *   the client sends       it had got its answer, so the application owes nothing: the connection goes to the master,
 *                          with what the client sent unread in it, and the application reads the end of its stand-in
 *   the application sends  it owed something: that is passed on to the client, byte by byte, for as long as it likes
 *   either closes          so does the host, to the other
 *   nothing, for a grace   it was idle, and goes to the master; where it is unclear who spoke last, or the application has
 *                          spoken since and may have more to say, not before half of the drain limit has passed
 *
 * This needs a protocol where the client speaks, is answered, and only then speaks again, and where nothing is
 * remembered between two requests: HTTP/1.1 without TLS and pipelining.
 */
#ifndef LIVESWAP_WORKER_HANDOFF_H
#define LIVESWAP_WORKER_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/listeners.h"
#include "connection.h"

/* All for the control thread. */

/* False when connections of this process cannot be moved. */
bool handoff_begin(int64_t grace_ms);

/* A connection of the application: is moved by the next handoff_move() when it looks idle. */
void handoff_consider(int fd, const struct connection* connection, const struct listener* listener);

/* Moves those, and goes on with those that were moved before. */
void handoff_move(void);

/* Readable when there is something to do; -1 before handoff_begin(). */
int handoff_fd(void);
void handoff_serve(void);

/* There is nobody any more to hand anything to: what has been moved is relayed to the application until it ends. */
void handoff_give_up(void);

/* Takes the steps that are due; returns when the next one is, on clock_ms(), or -1. */
int64_t handoff_step(void);

#endif
