/* Requests of application threads to the master that wait for an answer. The waiting thread owns the request,
 * on its stack; the receiving thread completes the request by number. Any thread. */
#ifndef LIVESWAP_WORKER_LINK_OPEN_REQUESTS_H
#define LIVESWAP_WORKER_LINK_OPEN_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

struct open_request {
  int32_t number; /* set by open_requests_add(); the requester reads it without the lock */
  bool done;
  int error;
  int fd; /* came with the answer, owned by the requester; -1: none */
  struct open_request* next;
};

/* Numbers the request and adds it to the list. The caller must call open_requests_wait() before the request
 * goes out of scope. */
void open_requests_add(struct open_request* request);

/* Blocks until the answer has come or clock_ms() reaches `end`; then removes the request from the list. */
void open_requests_wait(struct open_request* request, int64_t end);

/* Whether any request is open. */
bool open_requests_any(void);

/* Completes the request with that number. `fd` (owned, or -1) is closed if no thread waits for that number
 * any more. */
void open_requests_answered(int32_t number, int error, int fd);

/* No answer will come any more: completes all requests, and those added later at once. */
void open_requests_give_up(void);

/* Called once, before the others. False: no condition variable. */
bool open_requests_setup(void);

#endif
