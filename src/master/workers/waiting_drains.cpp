#include "master/workers/waiting_drains.hpp"

#include <algorithm>
#include <utility>

#include "master/uv/now.hpp"

namespace liveswap::master {
namespace {

constexpr rollout::Time look_interval{20};
constexpr rollout::Time longest_wait{30'000};

}  // namespace

void WaitingDrains::drain(const rollout::Drain& order) {
  if (!handlers_.is_crowded(order.worker)) return handlers_.drain(order);
  waiting_.push_back({order, now()});
  timer_.start(look_interval, [this] { look(); });
}

void WaitingDrains::look() {
  std::vector<Waiting> still;
  for (const Waiting& one : std::exchange(waiting_, {})) {
    const auto waited = now() - one.since;
    const auto limit = std::min(one.order.limit.value_or(longest_wait), longest_wait);
    if (waited < limit && handlers_.is_crowded(one.order.worker)) {
      still.push_back(one);
      continue;
    }
    rollout::Drain order = one.order;
    if (order.limit) *order.limit -= std::min(waited, *order.limit);
    handlers_.drain(order);
  }
  waiting_ = std::move(still);
  if (!waiting_.empty()) timer_.start(look_interval, [this] { look(); });
}

}  // namespace liveswap::master
