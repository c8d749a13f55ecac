#pragma once

#include <cstdint>
#include <optional>

#include "load/outcome.hpp"

namespace liveswap::load {

// When requests are meant to be sent: an open loop, request n at n / rate, whatever became of those before. A
// client that is late takes the ones it missed with their intended times, so that waiting is never hidden
// (coordinated omission).
class Schedule {
 public:
  // `rate` a second, 0 for none at all; at most `requests` of them, with intended times before `end`.
  Schedule(double rate, std::uint64_t requests, Time end) : rate_(rate), requests_(requests), end_(end) {}

  // The intended time of the next request if that time has come.
  std::optional<Time> take(Time now);

  // The intended time of the next request, if there is one.
  std::optional<Time> next() const;

  // There is nothing more to come: every request has been taken, or the end is over with none left behind.
  bool over(Time now) const { return taken_ >= requests_ || (now >= end_ && !next()); }

  Time end() const { return end_; }

 private:
  double rate_;
  std::uint64_t requests_;
  Time end_;
  std::uint64_t taken_ = 0;
};

}  // namespace liveswap::load
