#ifndef BOARD_H
#define BOARD_H
#include <stdint.h>

/* A file of one page, mapped by the tester and by the process whose calls shall fail: "from now on, let the
 * n-th call fail". The tester writes `armed` last, and clears it first. */
enum { BOARD_ALLOCATIONS = 1, BOARD_SYSTEM_CALLS = 2, BOARD_EXCEPTIONS = 4 /* the call throws instead */ };

struct board {
  int32_t pid;     /* of the process that has mapped it: the first one with the preloaded library */
  uint32_t armed;  /* 0: every call is made */
  uint32_t kinds;  /* of calls that count */
  uint32_t errors; /* which of a call's plausible errors: 0, 1, … */
  uint64_t first;  /* the number of the first call that fails, from 1 */
  uint64_t last;   /* of the last one */
  uint64_t seen;   /* calls that were counted since `armed` */
  uint64_t failed; /* calls that failed since then */
  char name[32];   /* of the first of these */
};

#endif
