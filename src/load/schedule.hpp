#pragma once

#include <cstdint>
#include <optional>

#include "load/outcome.hpp"

namespace liveswap::load {

// Intended times of requests, in an open loop: request n at n / rate, independent of earlier requests. A late
// client catches up, with the intended times, so that waiting is never hidden (coordinated omission).
class Schedule {
 public:
  // `rate`: per second, 0 for none; at most `requests`, with intended times before `end`.
  Schedule(double rate, std::uint64_t requests, Time end) : rate_(rate), requests_(requests), end_(end) {}

  // The intended time of the next request, if due.
  std::optional<Time> take(Time now);

  // The intended time of the next request, if any.
  std::optional<Time> next() const;

  // No more requests: all taken, or none left before the end.
  bool over(Time now) const { return taken_ >= requests_ || (now >= end_ && !next()); }

  Time end() const { return end_; }

 private:
  double rate_;
  std::uint64_t requests_;
  Time end_;
  std::uint64_t taken_ = 0;
};

}  // namespace liveswap::load
