#pragma once

#include <cstdint>
#include <vector>

namespace liveswap::load {

// Counts of microseconds in buckets, exact up to 255 and at most 1/128 wide above, as in HdrHistogram
// (http://hdrhistogram.org). Constant memory.
class Histogram {
 public:
  Histogram();

  void record(std::uint64_t microseconds);
  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }

  // The `quantile` (0 ... 1): smallest recorded value, rounded up to the end of its bucket but at most max,
  // that this share of values does not exceed. 0: nothing recorded.
  std::uint64_t at(double quantile) const;

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace liveswap::load
