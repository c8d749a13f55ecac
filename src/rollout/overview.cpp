#include "rollout/overview.hpp"

namespace liveswap::rollout {

void Overview::reset(unsigned slots, unsigned in_use) {
  *this = Overview();
  in_use_ = in_use;
  views_.resize(slots);
  for (unsigned slot = 0; slot < slots; ++slot) add(slot, views_[slot]);
}

void Overview::put(unsigned slot, const SlotView& view) {
  if (views_[slot] == view) return;
  take_away(slot, views_[slot]);
  add(slot, view);
  views_[slot] = view;
}

void Overview::add(unsigned slot, const SlotView& view) {
  if (view.next) deadlines_.emplace(*view.next, slot);
  if (view.next_respawn) respawns_.emplace(*view.next_respawn, slot);
  replacing_ += view.is_replacing;
  if (slot >= in_use_) {
    removed_ += view.workers;
    return;
  }
  active_ += view.active;
  working_ += view.working;
  asked_to_drain_ += view.asked_to_drain;
  on_goal_ += view.is_on_goal;
  turns_ += view.has_turn;
  turns_on_goal_ += view.has_turn && view.is_on_goal;
  if (view.active == 0) without_active_.insert(slot);
  if (!view.is_served) unserved_.insert(slot);
  if (!view.takes_connections) without_connections_.insert(slot);
  if (view.has_hung) hung_.insert(slot);
  if (!view.heads_for_goal) (view.has_turn ? lost_in_turn_ : behind_).insert(slot);
}

void Overview::take_away(unsigned slot, const SlotView& view) {
  if (view.next) deadlines_.erase({*view.next, slot});
  if (view.next_respawn) respawns_.erase({*view.next_respawn, slot});
  replacing_ -= view.is_replacing;
  if (slot >= in_use_) {
    removed_ -= view.workers;
    return;
  }
  active_ -= view.active;
  working_ -= view.working;
  asked_to_drain_ -= view.asked_to_drain;
  on_goal_ -= view.is_on_goal;
  turns_ -= view.has_turn;
  turns_on_goal_ -= view.has_turn && view.is_on_goal;
  for (Slots* all : {&without_active_, &unserved_, &without_connections_, &hung_, &lost_in_turn_, &behind_})
    all->erase(slot);
}

std::optional<Time> Overview::next() const {
  std::optional<Time> first;
  for (const Deadlines* all : {&deadlines_, &respawns_})
    if (!all->empty() && (!first || all->begin()->first < *first)) first = all->begin()->first;
  return first;
}

std::vector<unsigned> Overview::due_in(const Deadlines& deadlines, Time now) {
  std::vector<unsigned> slots;
  for (const auto& [time, slot] : deadlines) {
    if (time > now) break;
    slots.push_back(slot);
  }
  return slots;
}

}  // namespace liveswap::rollout
