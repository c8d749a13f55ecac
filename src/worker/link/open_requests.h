/* The requests of the application's threads to the master that wait for an answer. Any thread. */
#ifndef LIVESWAP_WORKER_LINK_OPEN_REQUESTS_H
#define LIVESWAP_WORKER_LINK_OPEN_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

/* One of them, on the stack of the thread that waits. */
struct open_request {
  int32_t number;
  bool done;
  int error;
  int fd; /* came with the answer, owned; -1 */
  struct open_request* next;
};

/* Gives it a number and puts it into the list; it stays there until open_requests_wait() has returned. */
void open_requests_add(struct open_request* request);

/* Blocks until it is done, or `end` has passed on clock_ms(); takes it out of the list. */
void open_requests_wait(struct open_request* request, int64_t end);

/* Whether any is in the list. */
bool open_requests_any(void);

/* An answer has come, with `fd` (owned) or -1. One that nobody waits for is dropped. */
void open_requests_answered(int32_t number, int error, int fd);

/* No more answers will come: all are done, as are those that are added from now on. */
void open_requests_give_up(void);

/* False where the process cannot have it. */
bool open_requests_setup(void);

#endif
