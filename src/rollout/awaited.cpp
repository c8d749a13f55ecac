#include "rollout/awaited.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

// A listener that is not waited on for this long was closed by the application, not by the exit.
constexpr Time closing{2'000};
// Releases remembered for each slot; generations with remembered drops.
constexpr std::size_t releases_most = 4, generations_most = 4;

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : &name == &names.back() ? " and " : ", ") + name;
  return text;
}

std::string served_by(const AwaitedListeners::Place& place, Generation generation) {
  return generation == place.generation ? "the previous worker served"
                                        : "generation " + std::to_string(generation) + " serves";
}

}  // namespace

bool AwaitedListeners::serves(Time now, const Place& place, const Listeners& listeners) {
  Record record{place, listeners, {}};
  auto& of_slot = records_[place.slot];
  const auto known = std::find_if(of_slot.begin(), of_slot.end(),
                                  [&](const Record& one) { return one.place.release == place.release; });
  if (known != of_slot.end()) {
    for (const auto& [key, name] : known->listeners) {
      if (listeners.contains(key)) continue;
      const auto left = known->left.contains(key) ? known->left.at(key) : now;
      if (now - left >= closing) continue;
      record.left[key] = left;
      record.listeners[key] = name;
    }
    of_slot.erase(known);
  }
  const bool some_have_left = !record.left.empty();
  of_slot.push_back(std::move(record));
  if (of_slot.size() > releases_most) of_slot.erase(of_slot.begin());
  return some_have_left;
}

void AwaitedListeners::forget(const std::string& key) {
  for (auto& [slot, records] : records_)
    for (Record& one : records) {
      one.listeners.erase(key);
      one.left.erase(key);
    }
}

std::vector<AwaitedListeners::Record> AwaitedListeners::all_records() const {
  std::vector<Record> all;
  for (const auto& [slot, records] : records_) all.insert(all.end(), records.begin(), records.end());
  return all;
}

void AwaitedListeners::set_records(std::vector<Record> records) {
  records_.clear();
  for (Record& one : records) records_[one.place.slot].push_back(std::move(one));
}

// That of the same release, else the last one of the slot; nullptr: none.
const AwaitedListeners::Record* AwaitedListeners::find(const Place& place) const {
  const auto of_slot = records_.find(place.slot);
  if (of_slot == records_.end()) return nullptr;
  for (const Record& one : of_slot->second)
    if (one.place.release == place.release) return &one;
  return &of_slot->second.back();
}

// The listeners common to all slots.
AwaitedListeners::Listeners AwaitedListeners::of_every_slot(Generation& generation) const {
  if (records_.empty()) return {};
  Listeners common = records_.begin()->second.back().listeners;
  for (const auto& [slot, records] : records_) {
    const Record& latest = records.back();
    generation = std::max(generation, latest.place.generation);
    std::erase_if(common, [&](const auto& one) { return !latest.listeners.contains(one.first); });
  }
  return common;
}

AwaitedListeners::Duty AwaitedListeners::duty_of(const Place& place) const {
  if (const Record* record = find(place)) return {record->listeners, record->place.generation};
  Duty duty;
  if (is_started_) duty.listeners = of_every_slot(duty.generation);
  return duty;
}

// Whether a slot of this generation has dropped the listener. A drop does not apply to a slot in which a
// worker of the same generation has served the listener.
bool AwaitedListeners::is_dropped(const Place& place, const Duty& duty, const std::string& key) const {
  const auto it = dropped_.find(place.generation);
  return duty.generation != place.generation && it != dropped_.end() && it->second.contains(key);
}

void AwaitedListeners::drop(Generation generation, const std::string& key) {
  dropped_[generation].insert(key);
  if (dropped_.size() > generations_most) dropped_.erase(dropped_.begin());
}

AwaitedListeners::Outlook AwaitedListeners::look(Time now, const Place& place, const Progress& progress) {
  const Duty duty = duty_of(place);
  const bool waits = progress.waits_elsewhere || !progress.waits.empty();
  Listeners missing;
  std::vector<std::string> names;
  bool is_bound = false;
  for (const auto& [key, name] : duty.listeners) {
    if (progress.waits.contains(key) || progress.replaced.contains(key) || is_dropped(place, duty, key))
      continue;
    missing[key] = name;
    names.push_back(name);
    is_bound = is_bound || progress.bound.contains(key);
  }
  Outlook outlook;
  if (!missing.empty()) {
    if (waits && !is_bound && now >= progress.since + limits_.drop_after) {
      for (const auto& [key, name] : missing) drop(place.generation, key);
      outlook.dropped = names;
      outlook.ready = true;
      return outlook;
    }
    if (waits && !is_bound) outlook.next = progress.since + limits_.drop_after;
    outlook.awaits.text =
        "it did not yet wait on " + list_of(names) + ", which " + served_by(place, duty.generation);
    if (is_bound)
      outlook.awaits.advice = "an application that does not serve a lent listener calls liveswap_ready()";
    return outlook;
  }
  const bool is_known = !duty.listeners.empty();
  if (!waits && (progress.any || is_known)) {
    outlook.awaits = {
        "it did not yet wait on any listener",
        "an application that never listens calls liveswap_ready(), or is started with --no-await-listener"};
    return outlook;
  }
  if (!waits) return outlook;  // the settle time counts
  // At the first start there is no predecessor to drain, so being ready early does no harm
  // (Engine::unproven).
  const Time due = is_known ? progress.settled : progress.all_lent ? now : progress.since + limits_.settle;
  outlook.ready = now >= due;
  if (!outlook.ready) outlook.next = due;
  outlook.awaits.only_time = !outlook.ready;
  return outlook;
}

}  // namespace liveswap::rollout
