#include "master/workers/waiting_drains.hpp"

#include <algorithm>
#include <cstddef>

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

// An exception leaves the drain in the list, and the timer runs already: the next look tries again.
void WaitingDrains::look() {
  timer_.start(look_interval, [this] { look(); });
  for (std::size_t i = 0; i < waiting_.size();) {
    const Waiting one = waiting_[i];
    const auto waited = now() - one.since;
    const auto limit = std::min(one.order.limit.value_or(longest_wait), longest_wait);
    if (waited < limit && handlers_.is_crowded(one.order.worker)) {
      ++i;
      continue;
    }
    rollout::Drain order = one.order;
    if (order.limit) *order.limit -= std::min(waited, *order.limit);
    handlers_.drain(order);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (waiting_.empty()) timer_.stop();
}

}  // namespace liveswap::master
