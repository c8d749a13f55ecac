/*
 * What the kernel tells of a TCP connection: whether it is over, and who has had the last word. From outside
 * that is all that can be known of a protocol in which the client asks and the application answers.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_TCP_STATE_H
#define LIVESWAP_WORKER_TAKEOVER_TCP_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum connection_state {
  CONNECTION_OPEN,
  CONNECTION_LEFT,   /* the client sends no more; it may still wait for an answer */
  CONNECTION_CLOSED, /* by the application: the client's side is about to end */
  CONNECTION_OVER,
};

enum last_word {
  LAST_NOBODYS,
  LAST_CLIENTS, /* the application owes an answer */
  LAST_APPLICATIONS,
  LAST_UNCLEAR, /* both spoke within a tick of the kernel's clock, and nothing else shows who was first */
};

struct connection {
  enum connection_state state;
  enum last_word last;
  bool is_empty;     /* nothing unread, nothing unsent */
  int64_t silent_ms; /* since the application has sent something, or the connection began */
  int64_t speaks_ms; /* from the client's last byte to the application's last: for so long it has been
                        speaking by itself */
  int64_t round_trip_ms;
  uint64_t received; /* bytes of the client */
  uint64_t sent;     /* bytes of the application, those that were sent again included */
  uint64_t acked;    /* bytes of the application that the client's side has */
  bool has_unacked;  /* there are some that it has not, as far as is known here */
};

/* False: `fd` is no TCP socket. Any thread. */
bool tcp_state_look(int fd, struct connection* connection);

/* The same, and how many bytes of the client nobody has read: both at one moment, though more may be coming.
 */
bool tcp_state_look_unread(int fd, struct connection* connection, uint64_t* unread);

#endif
