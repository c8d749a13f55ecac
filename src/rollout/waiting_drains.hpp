#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Decides how long a drain is delayed, if connections wait in an accept queue that no successor gets: of a
// removed slot, or of a listener that a reload removes. Only this worker can accept them. So the worker is
// told to drain when the queue is empty, or after 30 s, or after the drain limit if that is shorter. The time
// of waiting is subtracted from the drain limit. Pure.
class WaitingDrains {
 public:
  void add(Time now, const Drain& order) { waiting_.push_back({order, now}); }
  // A drain to carry out now; nullopt: none. `is_crowded`: whether connections wait that no
  // successor can accept.
  std::optional<Drain> due(Time now, const std::function<bool(WorkerId)>& is_crowded) const;
  // The worker has been told to drain.
  void remove(WorkerId worker);
  bool empty() const { return waiting_.empty(); }

 private:
  struct Waiting {
    Drain order;
    Time since{0};
  };
  std::vector<Waiting> waiting_;
};

}  // namespace liveswap::rollout
