#include "load/timeline.hpp"

#include <algorithm>

namespace liveswap::load {

Timeline::Bucket& Timeline::at(Time now) {
  const auto index = static_cast<std::uint64_t>(now / width_);
  if (buckets_.empty() || buckets_.back().index != index) {
    close();
    open_.clear();
    buckets_.push_back({.index = index, .versions = {}});
  }
  return buckets_.back();
}

void Timeline::answered(Time now, const std::string& version, Kind kind, std::uint64_t latency_us) {
  Bucket& bucket = at(now);
  ++bucket.versions[version];
  ++bucket.ok;
  if (kind == Kind::rate) open_.push_back(latency_us);
}

void Timeline::failed(Time now) { ++at(now).failures; }

const std::vector<Timeline::Bucket>& Timeline::close() {
  if (!open_.empty()) {
    std::sort(open_.begin(), open_.end());
    const std::size_t rank = (open_.size() * 99 + 99) / 100;
    buckets_.back().p99_us = open_[rank - 1];
    buckets_.back().max_us = open_.back();
  }
  return buckets_;
}

}  // namespace liveswap::load
