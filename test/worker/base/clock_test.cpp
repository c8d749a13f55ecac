// Limits of waits on the monotonic clock (base/clock.h).
#include "../host_headers.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

extern "C" {
#include "worker/base/clock.h"
}

namespace {

enum : long { SECOND_NS = 1'000'000'000, MS_NS = 1'000'000 };

std::int64_t ms(const timespec& time) { return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / MS_NS; }

// A wait that began so long ago.
timespec ago(std::int64_t milliseconds) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const std::int64_t at = std::int64_t{now.tv_sec} * SECOND_NS + now.tv_nsec - milliseconds * MS_NS;
  return {at / SECOND_NS, at % SECOND_NS};
}

bool is_whole(const timespec& time) { return time.tv_nsec >= 0 && time.tv_nsec < SECOND_NS; }

}  // namespace

TEST_CASE("clock: milliseconds and the time agree, and never go back") {
  const std::int64_t before = clock_ms();
  const timespec now = clock_now();
  const std::int64_t after = clock_ms();
  CHECK(before <= ms(now));
  CHECK(ms(now) <= after);
  CHECK(before > 0);
}

TEST_CASE("clock: a limit that is none stays as it is, and its beginning is not read") {
  const timespec any{-5, -7};
  timespec began = any;
  for (const int limit : {0, -1, INT_MIN}) {
    clock_note(&began, limit);
    CHECK(began.tv_sec == any.tv_sec);
    CHECK(clock_left(limit, &began) == limit);
  }
}

TEST_CASE("clock: what is left of a limit") {
  timespec began{};
  clock_note(&began, 60'000);
  CHECK(clock_left(60'000, &began) > 50'000);
  CHECK(clock_left(60'000, &began) <= 60'000);
  const timespec earlier = ago(20'000);
  const int left = clock_left(60'000, &earlier);
  // It may be a tick too long, never too short: a wait that ends early is an error of the host's.
  CHECK(left >= 40'000 - 5'000);
  CHECK(left <= 40'010);
  CHECK(clock_left(INT_MAX, &earlier) > INT_MAX - 30'000);
}

TEST_CASE("clock: a limit that has passed leaves nothing, never less") {
  const timespec earlier = ago(20'000);
  for (const int limit : {1, 100, 19'000}) CHECK(clock_left(limit, &earlier) == 0);
}

TEST_CASE("clock: a limit is not shortened within one tick") {
  const timespec now = ago(0);
  timespec later = now;
  later.tv_sec += 3;  // as if the clock had been read before
  CHECK(clock_left(100, &later) == 100);
}

TEST_CASE("clock: sums carry, and a wait without end stays a time") {
  const timespec sum = clock_sum({1, 600'000'000}, {2, 400'000'000});
  CHECK(sum.tv_sec == 4);
  CHECK(sum.tv_nsec == 0);
  const timespec none = clock_sum({5, 7}, {0, 0});
  CHECK(none.tv_sec == 5);
  CHECK(none.tv_nsec == 7);
  const timespec most = clock_sum(clock_now(), {LONG_MAX, SECOND_NS - 1});
  CHECK(is_whole(most));
  CHECK(most.tv_sec > clock_now().tv_sec);
}

TEST_CASE("clock: what is left until then") {
  const timespec end = clock_sum(clock_now(), {100, 900'000'000});
  const timespec left = clock_until(end);
  CHECK(is_whole(left));
  CHECK(ms(left) <= 100'900);
  CHECK(ms(left) > 90'000);
  // One second boundary lies between: the nanoseconds borrow.
  timespec now = clock_now();
  const timespec borrowed = clock_until({now.tv_sec + 10, 0});
  CHECK(is_whole(borrowed));
  CHECK(borrowed.tv_sec <= 10);
}

TEST_CASE("clock: nothing is left of what is over") {
  const timespec now = clock_now();
  for (const timespec& end : {timespec{0, 0}, timespec{now.tv_sec - 1, SECOND_NS - 1}, now}) {
    const timespec left = clock_until(end);
    CHECK(left.tv_sec == 0);
    CHECK(left.tv_nsec == 0);
  }
}

TEST_CASE("clock: a condition that waits by this clock") {
  pthread_cond_t condition;
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  REQUIRE(clock_condition(&condition));
  const std::int64_t end = clock_ms() + 30;
  const timespec until{end / 1000, end % 1000 * MS_NS};
  pthread_mutex_lock(&lock);
  int result = 0;
  while (result == 0) result = pthread_cond_timedwait(&condition, &lock, &until);
  pthread_mutex_unlock(&lock);
  CHECK(result == ETIMEDOUT);
  // By the realtime clock this time would be over for long.
  CHECK(clock_ms() >= end);
  pthread_cond_destroy(&condition);
}

TEST_CASE("clock: work is paused for by its CPU time, and not by the time in which the thread did not run") {
  const std::int64_t slept = clock_cpu_ms();
  usleep(100'000);
  CHECK(clock_due_again(slept, 50) < clock_ms() + 1'000);
  const std::int64_t worked = clock_cpu_ms();
  while (clock_cpu_ms() < worked + 20) continue;
  CHECK(clock_due_again(worked, 50) >= clock_ms() + 400);
}
