#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// What the engine asks about one slot. A worker is active if it starts or serves.
struct SlotView {
  unsigned workers = 0;            // all, also draining ones
  unsigned active = 0;             // workers
  unsigned working = 0;            // that start, and do more than to wait for the settle time
  unsigned asked_to_drain = 0;     // that drain, without force so far
  bool is_served = false;          // by a ready worker that is not staged
  bool takes_connections = false;  // the same, and the worker is neither stopped nor silent
  bool is_on_goal = false;         // a ready worker of the goal's generation
  bool heads_for_goal = false;     // an active worker of that generation
  bool has_turn = false;
  bool has_hung = false;             // an active worker that hangs
  bool is_replacing = false;         // the successor of a hung worker starts
  std::optional<Time> next;          // the first deadline of a worker
  std::optional<Time> next_respawn;  // Slot::respawn_at
  bool operator==(const SlotView&) const = default;
};

// The same of all slots together, as sums and sets, so that an event costs no more with a thousand slots than
// with two. The engine reports each slot that an event has changed, and all slots if the goal or their number
// has changed.
//
// Slots from `in_use` on are removed: they only count in the members that say so.
class Overview {
 public:
  // All slots, none of which has a worker.
  void reset(unsigned slots, unsigned in_use);
  void put(unsigned slot, const SlotView& view);

  const SlotView& of(unsigned slot) const { return views_[slot]; }
  unsigned in_use() const { return in_use_; }
  // Sums.
  std::size_t active() const { return active_; }
  std::size_t working() const { return working_; }
  std::size_t asked_to_drain() const { return asked_to_drain_; }
  std::size_t on_goal() const { return on_goal_; }
  std::size_t turns() const { return turns_; }
  std::size_t turns_on_goal() const { return turns_on_goal_; }
  std::size_t replacing() const { return replacing_; }
  // Slots by number.
  using Slots = std::set<unsigned>;
  const Slots& without_active() const { return without_active_; }
  const Slots& unserved() const { return unserved_; }
  const Slots& without_connections() const { return without_connections_; }
  const Slots& hung() const { return hung_; }
  // Neither on the goal nor heading for it: with and without a turn.
  const Slots& lost_in_turn() const { return lost_in_turn_; }
  const Slots& behind() const { return behind_; }
  // Workers of removed slots.
  std::size_t removed() const { return removed_; }
  // The first deadline of all slots, the removed ones too.
  std::optional<Time> next() const;
  // Slots in which a worker, or a respawn, is due.
  std::vector<unsigned> due(Time now) const { return due_in(deadlines_, now); }
  std::vector<unsigned> respawns_due(Time now) const { return due_in(respawns_, now); }

  bool operator==(const Overview&) const = default;

 private:
  using Deadlines = std::set<std::pair<Time, unsigned>>;
  static std::vector<unsigned> due_in(const Deadlines& deadlines, Time now);
  void add(unsigned slot, const SlotView& view);
  void take_away(unsigned slot, const SlotView& view);

  unsigned in_use_ = 0;
  std::vector<SlotView> views_;
  std::size_t active_ = 0, working_ = 0, asked_to_drain_ = 0, on_goal_ = 0, turns_ = 0, turns_on_goal_ = 0,
              replacing_ = 0, removed_ = 0;
  Slots without_active_, unserved_, without_connections_, hung_, lost_in_turn_, behind_;
  Deadlines deadlines_, respawns_;
};

}  // namespace liveswap::rollout
