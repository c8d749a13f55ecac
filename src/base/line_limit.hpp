#pragma once

#include <chrono>
#include <cstdint>

namespace liveswap {

// Rate limit for log lines that another process can cause: passes `lines` lines in each period and counts the
// rest. A period begins with its first line, so no timer is needed. `now` is the time of any monotonic clock.
class LineLimit {
 public:
  using Time = std::chrono::milliseconds;

  constexpr LineLimit(unsigned lines, Time period) : lines_(lines), period_(period) {}

  // True: write the line. False: the line is over the limit and has been counted.
  constexpr bool take(Time now) {
    if (!began_ || is_over(now)) {
      began_ = true;
      begin_ = now;
      written_ = 0;
    }
    if (written_ < lines_) {
      ++written_;
      return true;
    }
    ++left_out_;
    return false;
  }

  // Returns the number of suppressed lines, once, after their period is over. Call before take(), which
  // begins the next period.
  constexpr std::uint64_t collect(Time now) { return is_over(now) ? collect() : 0; }
  // The same, without waiting for the end of the period.
  constexpr std::uint64_t collect() {
    const auto count = left_out_;
    left_out_ = 0;
    return count;
  }

 private:
  constexpr bool is_over(Time now) const { return now - begin_ >= period_; }

  unsigned lines_;
  Time period_;
  Time begin_{0};
  bool began_ = false;
  unsigned written_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace liveswap
