#ifndef LIVESWAP_WORKER_BASE_CLOCK_H
#define LIVESWAP_WORKER_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline struct timespec clock_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time;
}

/* Milliseconds of the monotonic clock. */
static inline int64_t clock_ms(void) {
  const struct timespec now = clock_now();
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* `ms` must not be negative. */
static inline struct timespec clock_timespec(int64_t ms) {
  return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

/* CPU time of the calling thread, in milliseconds. */
static inline int64_t clock_cpu_ms(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* When to repeat, on clock_ms(), the work that this thread has begun at `began` of clock_cpu_ms(): after
 * `least_ms`, or after 20 times the CPU time of the work if that is later. A scan of many thousand
 * descriptors so takes at most 5 % of a CPU. Time in which other processes had the CPU does not count: on a
 * busy machine the pause would grow to half a minute. */
static inline int64_t clock_due_again(int64_t began, int64_t least_ms) {
  enum { PAUSE_PER_WORK = 20 };
  const int64_t pause = (clock_cpu_ms() - began) * PAUSE_PER_WORK;
  return clock_ms() + (pause > least_ms ? pause : least_ms);
}

/* Stores the time at which a wait of at most `limit` ms starts. The coarse clock is cheaper, and a few ms
 * behind. Without a limit (`limit` <= 0), leaves `began` unset. */
static inline void clock_note(struct timespec* began, int limit) {
  if (limit > 0) clock_gettime(CLOCK_MONOTONIC_COARSE, began);
}

/* Ms left of a wait that clock_note() has stored; `limit` itself if <= 0. Never less than what is really
 * left. */
static inline int clock_left(int limit, const struct timespec* began) {
  enum { STEP_MS = 10 }; /* the kernel's ticks are not longer */
  struct timespec now;
  if (limit <= 0) return limit;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const int64_t elapsed =
      (int64_t)(now.tv_sec - began->tv_sec) * 1000 + (now.tv_nsec - began->tv_nsec) / 1000000 - STEP_MS;
  return elapsed <= 0 ? limit : elapsed < limit ? (int)(limit - elapsed) : 0;
}

/* Callers express an endless wait as a very long one: cap `other` so that the sum does not overflow. */
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

/* The time left until `end`; 0 if `end` has passed. */
static inline struct timespec clock_until(struct timespec end) {
  const struct timespec time = clock_now();
  struct timespec left = {end.tv_sec - time.tv_sec, end.tv_nsec - time.tv_nsec};
  if (left.tv_nsec < 0) {
    --left.tv_sec;
    left.tv_nsec += 1000000000;
  }
  return left.tv_sec < 0 ? (struct timespec){0} : left;
}

/* Initialises a condition for timed waits on the monotonic clock. False: not possible. */
static inline bool clock_condition(pthread_cond_t* condition) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
  const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                    pthread_cond_init(condition, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return made;
}

#endif
