#include <algorithm>

#include "master/app_listeners/app_listeners.hpp"

// Collects what workers do with their listeners; rollout/awaited.hpp judges their readiness.
namespace liveswap::master {

using rollout::AwaitedListeners;

bool AppListeners::entered(rollout::WorkerId id, bool by_itself) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return by_itself;
  Worker& worker = it->second;
  unsettled_.insert(id);
  worker.entered = changed_ = worker.progressed = true;
  worker.by_itself = worker.by_itself || by_itself;
  return worker.by_itself || worker.expects || rules_.expects_listener || !worker.uses.empty() ||
         !awaited_.duty_of(worker.place).listeners.empty();
}

void AppListeners::deferred(rollout::WorkerId id, bool by_itself) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return;
  unsettled_.insert(id);
  it->second.by_itself = it->second.by_itself || by_itself;
  it->second.expects = it->second.expects || !by_itself;
  changed_ = true;
}

bool AppListeners::is_being_judged(const Worker& worker) const {
  return worker.entered && !worker.by_itself && !worker.ready && !worker.draining;
}

AwaitedListeners::Listeners AppListeners::served_by(const Worker& worker) const {
  AwaitedListeners::Listeners served;
  for (const Endpoint* endpoint : worker.waits) {
    const AppEndpoint* app = app_endpoint(endpoint);
    served[app ? app->key() : endpoint->address()] = endpoint->address();
  }
  return served;
}

// Whether the worker serves other endpoints that exclude this address, and waits on all of them: 0.0.0.0:80
// instead of 127.0.0.1:80, or the reverse.
bool AppListeners::is_replaced(const Worker& worker, const std::string& key) const {
  const auto& all = listeners_.app_endpoints();
  const auto one =
      std::find_if(all.begin(), all.end(), [&](const AppEndpoint* each) { return each->key() == key; });
  if (one == all.end() || worker.uses.contains(*one)) return false;
  bool found = false;
  for (Endpoint* endpoint : worker.uses) {
    const AppEndpoint* other = app_endpoint(endpoint);
    if (!other || !other->excludes(**one)) continue;
    if (!worker.waits.contains(endpoint)) return false;
    found = true;
  }
  return found;
}

AwaitedListeners::Progress AppListeners::progress_of(const Worker& worker) const {
  AwaitedListeners::Progress progress;
  progress.waits = served_by(worker);
  progress.waits_elsewhere = worker.waits_elsewhere;
  const auto& lent = *lent_to(worker);
  for (const Lent& one : lent) progress.bound.insert(one.endpoint->address());
  // A reload adds or removes it just now.
  for (const auto& key : listeners_.addresses_lent())
    if (!progress.bound.contains(key)) progress.replaced.insert(key);
  // A worker that serves only lent listeners may accept at once and crash a moment later, so the settle time
  // runs from the entry. A worker that binds listeners of its own has initialised before it waits on them.
  const bool by_contract = worker.uses.empty() && !rules_.expects_listener && !worker.expects;
  if (by_contract) progress.settled = worker.entered_at + rules_.awaited.settle;
  progress.all_lent = by_contract && !lent.empty() &&
                      std::all_of(lent.begin(), lent.end(),
                                  [&](const Lent& one) { return worker.waits.contains(one.endpoint); });
  for (Endpoint* endpoint : worker.uses)
    if (const AppEndpoint* app = app_endpoint(endpoint)) progress.bound.insert(app->key());
  for (const auto& [key, name] : awaited_.duty_of(worker.place).listeners)
    if (is_replaced(worker, key)) progress.replaced.insert(key);
  progress.any = rules_.expects_listener || worker.expects || !worker.uses.empty();
  progress.since = worker.since;
  return progress;
}

// What a ready worker waits on is recorded for its successors when it has changed. A listener that it has
// left counts for a moment, so that the worker is recorded again.
void AppListeners::record_waits(rollout::Time now, Worker& worker) {
  if (!worker.ready || worker.draining || worker.recorded == worker.waits) return;
  if (awaited_.serves(now, worker.place, served_by(worker))) worker.recorded.reset();
  else worker.recorded = worker.waits;
}

// A worker of the slot has left, so that the one that stays is what a successor replaces.
void AppListeners::record_again(unsigned slot) {
  for (const auto id : of_slot_[slot]) {
    unsettled_.insert(id);
    workers_.at(id).recorded.reset();
  }
}

// Listeners have other addresses.
void AppListeners::record_all_again() {
  for (const auto& [slot, ids] : of_slot_) record_again(slot);
}

bool AppListeners::is_settled(const Worker& worker) const {
  const bool serves = worker.ready && !worker.draining;
  return !is_being_judged(worker) && worker.given_up.empty() && (!serves || worker.recorded == worker.waits);
}

std::vector<AppListeners::Judged> AppListeners::judge(rollout::Time now) {
  if (!std::exchange(unjudged_, false) && (!judgement_due_ || now < *judgement_due_)) return {};
  judgement_due_.reset();
  if (quiet_) awaited_.started();
  std::vector<Judged> judged;
  for (const auto id : unsettled_) {
    Worker& worker = workers_.at(id);
    if (std::exchange(worker.progressed, false)) worker.since = now;
    if (worker.entered && worker.entered_at == rollout::Time{0}) worker.entered_at = now;
    record_waits(now, worker);
  }
  for (const auto id : unsettled_) {
    Worker& worker = workers_.at(id);
    if (!is_being_judged(worker)) continue;
    auto outlook = awaited_.look(now, worker.place, progress_of(worker));
    if (outlook.next)
      judgement_due_ = judgement_due_ ? std::min(*judgement_due_, *outlook.next) : *outlook.next;
    // Until the engine has said that it is ready (look()): the caller may have no memory to tell the engine.
    unjudged_ = unjudged_ || outlook.ready;
    judged.push_back({id, std::move(outlook)});
  }
  std::erase_if(unsettled_, [this](const auto id) { return is_settled(workers_.at(id)); });
  return judged;
}

}  // namespace liveswap::master
