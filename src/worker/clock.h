#ifndef LIVESWAP_WORKER_CLOCK_H
#define LIVESWAP_WORKER_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock, which no change of the wall clock disturbs. */
static inline int64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
