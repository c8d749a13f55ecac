#include "release/committed_releases.hpp"

#include <algorithm>

#include "release/history.hpp"

namespace liveswap::release {

void CommittedReleases::add(const Committed& release, const std::string& left) {
  if (!left.empty()) left_.insert(left);
  left_.erase(release.id);
  std::erase_if(committed_, [&](const auto& one) { return one.id == release.id; });
  committed_.insert(committed_.begin(), release);
  if (committed_.size() <= History::kept) return;
  left_.erase(committed_.back().id);
  committed_.pop_back();
}

std::vector<Committed> CommittedReleases::newest(std::size_t k) const {
  return {committed_.begin(),
          committed_.begin() + static_cast<std::ptrdiff_t>(std::min(k, committed_.size()))};
}

}  // namespace liveswap::release
