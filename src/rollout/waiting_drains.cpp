#include "rollout/waiting_drains.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

constexpr Time longest_wait{30'000};

}  // namespace

std::optional<Drain> WaitingDrains::due(Time now, const std::function<bool(WorkerId)>& is_crowded) const {
  for (const Waiting& one : waiting_) {
    const Time waited = now - one.since;
    const Time limit = std::min(one.order.limit.value_or(longest_wait), longest_wait);
    if (waited < limit && is_crowded(one.order.worker)) continue;
    Drain order = one.order;
    if (order.limit) *order.limit -= std::min(waited, *order.limit);
    return order;
  }
  return std::nullopt;
}

void WaitingDrains::remove(WorkerId worker) {
  std::erase_if(waiting_, [worker](const Waiting& one) { return one.order.worker == worker; });
}

}  // namespace liveswap::rollout
