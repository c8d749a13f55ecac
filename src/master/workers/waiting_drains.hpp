#pragma once

#include <functional>
#include <vector>

#include "master/uv/loop.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Drains that wait for an accept queue. Connections that wait in the queue of a slot that vanishes can be
// accepted by the workers of that slot alone, so such a worker is told to drain only when the queue is empty,
// after 30 s, or after the worker's drain limit. The limit that it gets is what is left then.
class WaitingDrains {
 public:
  struct Handlers {
    std::function<bool(rollout::WorkerId)> is_crowded;  // connections wait that only its slot can accept
    std::function<void(const rollout::Drain&)> drain;   // tells the worker
  };
  WaitingDrains(uv_loop_t& loop, Handlers handlers) : handlers_(std::move(handlers)), timer_(loop) {}

  // At once where nothing waits.
  void drain(const rollout::Drain& order);

 private:
  struct Waiting {
    rollout::Drain order;
    rollout::Time since{0};
  };
  void look();

  Handlers handlers_;
  std::vector<Waiting> waiting_;
  Timer timer_;
};

}  // namespace liveswap::master
