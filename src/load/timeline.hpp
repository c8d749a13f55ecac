#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "load/outcome.hpp"

namespace liveswap::load {

// What happened in each stretch of time, by the time at which an attempt ended (not its intended time): one
// sees which version answered when. Times must not go back.
class Timeline {
 public:
  struct Bucket {
    std::uint64_t index = 0;  // starts at index * width
    std::map<std::string, std::uint64_t> versions;
    std::uint64_t ok = 0;
    std::uint64_t failures = 0;
    std::uint64_t p99_us = 0;  // of the ok ones of the fixed rate
    std::uint64_t max_us = 0;
  };

  explicit Timeline(Time width) : width_(width) {}

  // `latency_us` is left out of the percentile when the attempt was a slow one.
  void answered(Time now, const std::string& version, Kind kind, std::uint64_t latency_us);
  void failed(Time now);

  // Stretches in which something ended; those without anything are absent. Closes the last one.
  const std::vector<Bucket>& close();

  Time width() const { return width_; }

 private:
  Bucket& at(Time now);

  Time width_;
  std::vector<Bucket> buckets_;
  std::vector<std::uint64_t> open_;  // latencies of the last bucket
};

}  // namespace liveswap::load
