#include "rollout/engine.hpp"

#include <algorithm>

namespace liveswap::rollout {

Engine::Engine(const Settings& settings)
    : settings_(settings),
      random_(settings.seed),
      forks_(settings.forks),
      slots_(settings.forks),
      replacements_(settings.replacement) {
  see_all();
}

void Engine::configure(const Settings& settings) {
  const auto seed = settings_.seed;
  settings_ = settings;
  settings_.forks = forks_;
  settings_.seed = seed;
}

const Engine::Target* Engine::goal() const {
  if (rolling()) return &upgrade_->to;
  return committed_ ? &*committed_ : nullptr;
}

SlotView Engine::view_of(unsigned slot) const {
  SlotView view;
  view.has_turn = slots_[slot].turn;
  view.next_respawn = slots_[slot].respawn_at;
  const auto consider = [&](const std::optional<Time>& time) {
    if (time && (!view.next || *time < *view.next)) view.next = time;
  };
  for (const WorkerId id : slots_[slot].workers) {
    const Worker& worker = workers_.at(id);
    const bool starts = worker.state == WorkerState::starting;
    const bool serves = worker.state == WorkerState::ready && !worker.staged;
    const bool is_silent =
        worker.liveness.is_hung || (worker.liveness.has_answered && worker.liveness.silent_since);
    ++view.workers;
    view.active += active(worker);
    view.working += starts && !worker.settle_at && !worker.awaits.only_time;
    view.asked_to_drain += !active(worker) && worker.step == DrainStep::asked;
    view.is_served |= serves;
    view.takes_connections |= serves && !worker.stopped_since && !is_silent;
    view.has_hung |= active(worker) && worker.liveness.is_hung;
    view.is_replacing |= starts && worker.replaces != 0;
    consider(worker.deadline);
    consider(worker.settle_at);
  }
  const Worker* const of_goal = goal() ? find_active(slot, goal()->generation) : nullptr;
  view.heads_for_goal = of_goal != nullptr;
  view.is_on_goal = of_goal && of_goal->state == WorkerState::ready;
  return view;
}

void Engine::see(unsigned slot) {
  ++looks_;
  overview_.put(slot, view_of(slot));
}

// After a change of the goal, of the number of slots, or of many workers.
void Engine::see_all() {
  looks_ += slots_.size();
  overview_ = overview_anew();
}

Overview Engine::overview_anew() const {
  Overview anew;
  anew.reset(static_cast<unsigned>(slots_.size()), forks_);
  for (unsigned slot = 0; slot < slots_.size(); ++slot) anew.put(slot, view_of(slot));
  return anew;
}

const Engine::Worker* Engine::find_active(unsigned slot, Generation generation) const {
  for (const WorkerId id : slots_[slot].workers) {
    const Worker& worker = workers_.at(id);
    if (worker.generation == generation && active(worker)) return &worker;
  }
  return nullptr;
}

unsigned Engine::surge() const { return pace().surge.of(forks_); }

unsigned Engine::canary() const {
  return upgrade_ && !upgrade_->pace.flip && !upgrade_->baked
             ? std::min(upgrade_->pace.canary.of(forks_), forks_)
             : 0;
}

bool Engine::running() const { return !stopping_ && committed_ && !upgrade_; }

bool Engine::reverting() const {
  return !stopping_ && committed_ && upgrade_ && upgrade_->phase == Phase::reverting;
}

const char* Engine::state() const {
  if (stopping_) return "stopping";
  if (!committed_) return "starting";
  if (running()) return "running";
  return reverting() ? "reverting" : "upgrading";
}

const char* Engine::phase() const {
  if (!upgrade_) return "";
  switch (upgrade_->phase) {
    case Phase::preparing: return "preparing";
    case Phase::rolling: return "rolling";
    case Phase::baking: return "baking";
    case Phase::flipping: return "flipping";
    case Phase::probation: return "probation";
    case Phase::committing: return "committing";
    case Phase::reverting: return "reverting";
  }
  return "";
}

std::optional<Time> Engine::phase_end() const {
  const bool trial = upgrade_ && (upgrade_->phase == Phase::baking || upgrade_->phase == Phase::probation);
  return trial ? upgrade_->deadline : std::nullopt;
}

Commands Engine::tick(Time now) {
  std::vector<WorkerId> due;
  for (const unsigned slot : overview_.due(now))
    for (const WorkerId id : slots_[slot].workers) {
      const Worker& worker = workers_.at(id);
      if ((worker.deadline && *worker.deadline <= now) || (worker.settle_at && *worker.settle_at <= now))
        due.push_back(id);
    }
  // In the order of their start. A deadline may erase another worker, so look each one up again.
  std::sort(due.begin(), due.end());
  for (const WorkerId id : due)
    if (const auto it = workers_.find(id); it != workers_.end()) worker_deadline(now, it->second);
  if (upgrade_ && upgrade_->deadline && *upgrade_->deadline <= now) upgrade_deadline(now);
  return done(now);
}

std::optional<Time> Engine::next_deadline() const {
  std::optional<Time> next = overview_.next();
  const auto consider = [&](const std::optional<Time>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  if (upgrade_) consider(upgrade_->deadline);
  consider(replace_at_);
  if (admin_command_) consider(admin_command_->deadline);
  return next;
}

}  // namespace liveswap::rollout
