#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "load/outcome.hpp"

namespace liveswap::load {

// Results in intervals of time, by the end of attempts (not the intended time): shows which version answered
// when. Times must not decrease.
class Timeline {
 public:
  struct Bucket {
    std::uint64_t index = 0;  // interval from index * width
    std::map<std::string, std::uint64_t> versions;
    std::uint64_t ok = 0;
    std::uint64_t failures = 0;
    std::uint64_t p99_us = 0;  // of successful attempts at the fixed rate, as is max_us
    std::uint64_t max_us = 0;
  };

  explicit Timeline(Time width) : width_(width) {}

  // Slow attempts do not count for the percentile.
  void answered(Time now, const std::string& version, Kind kind, std::uint64_t latency_us);
  void failed(Time now);

  // Closes the last interval; returns intervals with at least one result.
  const std::vector<Bucket>& close();

  Time width() const { return width_; }

 private:
  Bucket& at(Time now);

  Time width_;
  std::vector<Bucket> buckets_;
  std::vector<std::uint64_t> open_;  // latencies in the last interval
};

}  // namespace liveswap::load
