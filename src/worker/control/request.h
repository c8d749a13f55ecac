/* Requests to the master that a thread of the application waits for: it has called bind() and wants to know.
 */
#ifndef LIVESWAP_WORKER_CONTROL_REQUEST_H
#define LIVESWAP_WORKER_CONTROL_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "contract/channel.h"

/* There is no master to ask, or it has not answered in 10 s. */
enum { REQUEST_UNANSWERED = -1 };

struct request {
  enum liveswap_frame_kind kind;
  uint64_t count;
  const void* text;
  size_t size;
  int fd; /* goes along, borrowed; -1: none */
};

/*
 * Asks and waits; not for the control thread. Returns 0, an errno or REQUEST_UNANSWERED. `given`, where not
 * NULL, gets the descriptor that came with the answer, owned by the caller, or -1.
 */
int request_ask(const struct request* request, int* given);

#endif
