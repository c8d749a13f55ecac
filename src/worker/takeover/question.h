/* Questions to the master that a thread of the application waits for: it has called bind() and wants to know.
 */
#ifndef LIVESWAP_WORKER_QUESTION_H
#define LIVESWAP_WORKER_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/channel.h"

/* There is no master to ask, or it has not answered in 10 s. */
enum { QUESTION_UNANSWERED = -1 };

struct question {
  enum liveswap_frame_kind kind;
  uint64_t count;
  const void* text;
  size_t size;
  int fd; /* goes along, borrowed; -1: none */
};

/*
 * Asks and waits; not for the control thread. Returns 0, an errno or QUESTION_UNANSWERED. `given`, where not
 * NULL, gets the descriptor that came with the answer, owned by the caller, or -1.
 */
int question_ask(const struct question* question, int* given);

/* Whether anybody waits for an answer. */
bool question_is_open(void);

/* For who receives: an answer has come, with `fd` (owned) or -1. */
void question_answered(int32_t number, int error, int fd);

/* For the control thread: no more answers will come. */
void question_give_up(void);

#endif
