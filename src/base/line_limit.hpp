#pragma once

#include <chrono>
#include <cstdint>

namespace liveswap {

// Bounds the lines that somebody else can make this process write to its log: so many in a period are let
// through, the others are counted, and the count is said once the period is over. A period begins with its
// first line, so that nothing has to be done while nothing happens. `now`: on any clock that never goes back.
class LineLimit {
 public:
  using Time = std::chrono::milliseconds;

  constexpr LineLimit(unsigned lines, Time period) : lines_(lines), period_(period) {}

  // Whether the line may be written; else it is counted.
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

  // How many lines were left out, once their period is over; each is told once. To be asked before take(),
  // which begins the next period.
  constexpr std::uint64_t collect(Time now) { return is_over(now) ? collect() : 0; }
  // Likewise, without waiting for that.
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
