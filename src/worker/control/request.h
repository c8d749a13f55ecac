/* Requests to the master on which a thread of the application blocks, such as BIND. */
#ifndef LIVESWAP_WORKER_CONTROL_REQUEST_H
#define LIVESWAP_WORKER_CONTROL_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "contract/channel.h"

/* The master is dead, or has not answered within 10 s. */
enum { REQUEST_UNANSWERED = -1 };

struct request {
  enum liveswap_frame_kind kind;
  uint64_t count;
  const void* text;
  size_t size;
  int fd; /* sent along, borrowed; -1: none */
};

/*
 * Sends a request and blocks until the answer comes, 10 s at most. Not for the control thread. Returns 0, an
 * errno or REQUEST_UNANSWERED. `given`, unless NULL, gets the descriptor that came with the answer, owned by
 * the caller; -1: none.
 */
int request_ask(const struct request* request, int* given);

#endif
