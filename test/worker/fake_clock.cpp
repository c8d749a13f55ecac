#include "fake_clock.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<std::int64_t> moved_ms = 0;

}  // namespace

void liveswap::test::move_clock(std::int64_t milliseconds) { moved_ms += milliseconds; }
void liveswap::test::set_clock_back() { moved_ms = 0; }

// In place of libc's, for the code that is linked with this.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  enum : long { SECOND_MS = 1000, MS_NS = 1'000'000 };
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result != 0 || clock == CLOCK_REALTIME) return static_cast<int>(result);
  const std::int64_t ms = time->tv_sec * SECOND_MS + time->tv_nsec / MS_NS + moved_ms;
  *time = {ms / SECOND_MS, ms % SECOND_MS * MS_NS + time->tv_nsec % MS_NS};
  return 0;
}
