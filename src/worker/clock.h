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

/* The same, some milliseconds old, for less. The kernel's ticks are no longer than that. */
enum { CLOCK_COARSE_STEP_MS = 10 };
static inline int64_t clock_coarse_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline struct timespec clock_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time;
}

/* Of a wait without end some make a very long one. */
static inline struct timespec clock_sum(struct timespec one, struct timespec other) {
  enum { YEARS = 1000000000 };
  if (other.tv_sec > YEARS) other.tv_sec = YEARS;
  struct timespec sum = {one.tv_sec + other.tv_sec, one.tv_nsec + other.tv_nsec};
  if (sum.tv_nsec >= 1000000000) {
    ++sum.tv_sec;
    sum.tv_nsec -= 1000000000;
  }
  return sum;
}

/* What is left until then; nothing, when it is over. */
static inline struct timespec clock_until(struct timespec end) {
  const struct timespec time = clock_now();
  struct timespec left = {end.tv_sec - time.tv_sec, end.tv_nsec - time.tv_nsec};
  if (left.tv_nsec < 0) {
    --left.tv_sec;
    left.tv_nsec += 1000000000;
  }
  return left.tv_sec < 0 ? (struct timespec){0} : left;
}

#endif
