#pragma once

#include <functional>
#include <vector>

#include "master/uv/loop.hpp"
#include "rollout/types.hpp"

namespace liveswap::master {

// Delays the drains of workers in a removed slot. Only these workers can accept the connections that wait in
// the slot's accept queue. So the worker is told to drain when the queue is empty, or after 30 s, or after
// the drain limit if that is shorter. The time of waiting is subtracted from the drain limit.
class WaitingDrains {
 public:
  struct Handlers {
    // Whether connections wait that only the worker's slot can accept.
    std::function<bool(rollout::WorkerId)> is_crowded;
    // Tells the worker to drain.
    std::function<void(const rollout::Drain&)> drain;
  };
  WaitingDrains(uv_loop_t& loop, Handlers handlers) : handlers_(std::move(handlers)), timer_(loop) {}

  // Calls Handlers::drain at once if no connection waits, else later.
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
