#ifndef BOARD_H
#define BOARD_H
#include <stdint.h>

/* A file of one page that two processes map: the tester, and the process in which calls fail. The tester
 * orders: "from now on, let the n-th call fail". It writes `armed` last, and clears `armed` first. */
enum { BOARD_ALLOCATIONS = 1, BOARD_SYSTEM_CALLS = 2, BOARD_EXCEPTIONS = 4 /* the call throws instead */ };

struct board {
  int32_t pid;     /* of the failing process: the first one with the preloaded library */
  uint32_t armed;  /* 0: no call fails */
  uint32_t kinds;  /* the kinds of calls that count */
  uint32_t errors; /* which of a call's two errors */
  uint64_t first;  /* the number of the first call that fails, from 1 */
  uint64_t last;   /* the number of the last call that fails */
  uint64_t seen;   /* calls since `armed` */
  uint64_t failed; /* failed calls since `armed` */
  char name[32];   /* of the first call that failed */
};

#endif
