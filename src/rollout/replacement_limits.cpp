#include "rollout/replacement_limits.hpp"

#include <algorithm>

namespace liveswap::rollout {

Time ReplacementLimits::pause_after(unsigned count) const {
  Time pause = pace_.first_pause;
  for (unsigned i = 1; i < count && pause < pace_.longest_pause; ++i) pause *= 2;
  return std::min(pause, pace_.longest_pause);
}

Time ReplacementLimits::next(Time now, unsigned slot, unsigned forks) const {
  Time at = now;
  if (const auto row = rows_.find(slot); row != rows_.end() && now - row->second.last < pace_.row_ends_after)
    at = std::max(at, row->second.last + pause_after(row->second.count));
  // The newest `forks` decide: the oldest of these must be a whole window ago.
  if (recent_.size() >= forks && forks > 0) at = std::max(at, recent_[recent_.size() - forks] + pace_.window);
  return at;
}

void ReplacementLimits::note(Time now, unsigned slot) {
  while (!recent_.empty() && now - recent_.front() >= pace_.window) recent_.pop_front();
  recent_.push_back(now);
  Row& row = rows_[slot];
  row.count = row.count > 0 && now - row.last < pace_.row_ends_after ? row.count + 1 : 1;
  row.last = now;
}

}  // namespace liveswap::rollout
