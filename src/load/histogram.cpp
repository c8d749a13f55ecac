#include "load/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace liveswap::load {
namespace {

// The values from 2^n to 2^(n+1) - 1 share `half` buckets. Each value below 2 * `half` has a bucket of its
// own.
constexpr unsigned half_bits = 7;
constexpr std::uint64_t half = 1U << half_bits;
// About twelve days, above any run.
constexpr std::uint64_t largest = (std::uint64_t{1} << 40) - 1;

unsigned shift_of(std::uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  return width > half_bits + 1 ? width - half_bits - 1 : 0;
}

std::size_t index_of(std::uint64_t value) {
  const unsigned shift = shift_of(value);
  return shift * half + (value >> shift);
}

std::uint64_t upper_end(std::size_t index) {
  if (index < 2 * half) return index;
  const std::uint64_t shift = index / half - 1;
  return ((index - shift * half + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : buckets_(index_of(largest) + 1) {}

void Histogram::record(std::uint64_t microseconds) {
  ++buckets_[index_of(std::min(microseconds, largest))];
  ++count_;
  max_ = std::max(max_, microseconds);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t index = 0; index < buckets_.size(); ++index) buckets_[index] += other.buckets_[index];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::at(double quantile) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
  const std::uint64_t rank = std::clamp<std::uint64_t>(wanted, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t index = 0; index < buckets_.size(); ++index) {
    seen += buckets_[index];
    if (seen >= rank) return std::min(upper_end(index), max_);
  }
  return max_;
}

}  // namespace liveswap::load
