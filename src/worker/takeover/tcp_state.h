/*
 * What the kernel knows of a TCP connection: whether the connection is over, and which side has sent last. In
 * a protocol in which the client asks and the application answers, that shows whether the connection is idle.
 */
#ifndef LIVESWAP_WORKER_TAKEOVER_TCP_STATE_H
#define LIVESWAP_WORKER_TAKEOVER_TCP_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum connection_state {
  CONNECTION_OPEN,
  CONNECTION_LEFT,   /* the client has shut down sending, and may still wait for an answer */
  CONNECTION_CLOSED, /* closed by the application */
  CONNECTION_OVER,
};

enum last_word {
  LAST_NOBODYS,
  LAST_CLIENTS, /* the application owes an answer */
  LAST_APPLICATIONS,
  LAST_UNCLEAR, /* both sent within one tick of the kernel's clock, and nothing else shows the order */
};

struct connection {
  enum connection_state state;
  enum last_word last;
  bool is_empty;     /* nothing unread, nothing unsent */
  int64_t silent_ms; /* since the application has sent, or the connection began */
  int64_t speaks_ms; /* from the client's last byte to the application's last: for so long the application
                        has been sending, and the client not */
  int64_t round_trip_ms;
  uint64_t received; /* bytes from the client */
  uint64_t sent;     /* bytes from the application, retransmissions included */
  uint64_t acked;    /* bytes from the application that the client's kernel has acknowledged */
  bool has_unacked;  /* some bytes are not acknowledged yet */
};

/* False: `fd` is not a TCP socket. Any thread. */
bool tcp_state_look(int fd, struct connection* connection);

/* The same, with the number of unread bytes from the client at the same moment. */
bool tcp_state_look_unread(int fd, struct connection* connection, uint64_t* unread);

#endif
