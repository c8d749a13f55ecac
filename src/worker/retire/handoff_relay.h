/*
 * An idle connection goes to the successor without its client noticing (retire/idle_connections.h has chosen
 * it).
 *
 * From outside nobody can tell for sure that a connection is idle: a request may have been read that is still
 * worked on. So it is tried out. A stand-in, one end of a socket pair, takes the connection's place; the host
 * holds the other end and the connection. What happens next shows what it was:
 *
 *   the client sends       it had got its answer, so the application owes nothing: the connection goes to the
 * master, with what the client sent unread in it, and the application reads the end of its stand-in the
 * application sends  it owed something: the host copies that to the client, and watches both sides further
 *   either closes          so does the host, to the other
 *   nothing, for a grace   it was idle, and goes to the master; where it is unclear who spoke last, or the
 * application has spoken since and may have more to say, not before half of the drain limit has passed
 *
 * A read that has looked up the connection, and not yet taken anything, would take the client's request from
 * the successor. So every thread that may be in one is kicked when the stand-ins are there, and what the
 * client sends waits until all have left such calls. What one of them has taken the application owes; the
 * rest of a request goes where its beginning went.
 *
 * This needs a protocol where the client speaks, is answered, and only then speaks again, and where nothing
 * is remembered between two requests: HTTP/1.1 without TLS and pipelining.
 */
#ifndef LIVESWAP_WORKER_RETIRE_HANDOFF_RELAY_H
#define LIVESWAP_WORKER_RETIRE_HANDOFF_RELAY_H

#include <stdbool.h>
#include <stdint.h>

/* All for the control thread. */

/* False, with errno. */
bool handoff_begin(int64_t grace_ms);

/* Whether there is room for one more. */
bool handoff_has_room(void);

/* Where a connection comes from. */
struct handoff_origin {
  uint64_t listener; /* its cookie */
  int fd;            /* the application's number for it */
  uint64_t received; /* bytes from the client that are accounted for */
  bool is_read;      /* a thread was seen in a read() of it */
};

/*
 * Takes charge of a duplicate of the connection, or -1, and of the host's end of its stand-in, also when it
 * returns NULL: then both are closed. The other end is about to take the connection's place; handoff_undo()
 * when it could not.
 */
struct moved* handoff_take(int connection, int pair, const struct handoff_origin* origin);
void handoff_undo(struct moved* moved);

/* Hands off the connections that were idle for the grace; closes those whose client has left. */
void handoff_look(void);

/* Whether the application works on something for one that has not been handed off, or has to be asked whether
 * it does. */
bool handoff_is_busy(void);

/* Readable when there is something to do; -1 before handoff_begin(). */
int handoff_fd(void);
void handoff_serve(void);

/* There is nobody any more to hand anything to: what has been moved is relayed to the application until it
 * ends. */
void handoff_give_up(void);
bool handoff_is_over(void);

/* Takes the steps that are due; returns when the next one is, on clock_ms(), or -1. */
int64_t handoff_step(void);

#endif
