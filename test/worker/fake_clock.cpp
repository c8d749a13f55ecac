#include "fake_clock.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

enum : std::int64_t { SECOND_NS = 1'000'000'000, MS_NS = 1'000'000, RUNS = -1 };

std::atomic<std::int64_t> moved_ns = 0, stopped_at = RUNS;

std::int64_t kernels(clockid_t clock) {
  timespec time{};
  ::syscall(SYS_clock_gettime, clock, &time);
  return time.tv_sec * SECOND_NS + time.tv_nsec;
}

}  // namespace

void liveswap::test::move_clock(std::int64_t milliseconds) { moved_ns += milliseconds * MS_NS; }
void liveswap::test::stop_clock() { stopped_at = kernels(CLOCK_MONOTONIC); }
void liveswap::test::set_clock_back() {
  moved_ns = 0;
  stopped_at = RUNS;
}

// In place of libc's, for the code that is linked with this.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)
    return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  const std::int64_t stopped = stopped_at;
  const std::int64_t now = (stopped != RUNS ? stopped : kernels(clock)) + moved_ns;
  *time = {now / SECOND_NS, now % SECOND_NS};
  return 0;
}
