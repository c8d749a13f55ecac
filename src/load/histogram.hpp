#pragma once

#include <cstdint>
#include <vector>

namespace liveswap::load {

// Counts of microseconds in buckets that are exact up to 255 and at most 1/128 wide above, as in HdrHistogram
// (http://hdrhistogram.org): constant memory, however long the run.
class Histogram {
 public:
  Histogram();

  void record(std::uint64_t microseconds);
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // The smallest recorded value (rounded up to its bucket's end, never above max) that at least `quantile`
  // (0 ... 1) of all values do not exceed; 0 when nothing was recorded.
  std::uint64_t at(double quantile) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace liveswap::load
