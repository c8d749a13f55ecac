#include "rollout/engine.hpp"

#include <algorithm>

namespace liveswap::rollout {

Engine::Engine(const Settings& settings)
    : settings_(settings),
      random_(settings.seed),
      forks_(settings.forks),
      slots_(settings.forks),
      replacements_(settings.replacement) {}

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

bool Engine::has_active(unsigned slot) const {
  const auto& ids = slots_[slot].workers;
  return std::any_of(ids.begin(), ids.end(), [&](WorkerId id) { return active(workers_.at(id)); });
}

bool Engine::served(unsigned slot) const {
  const auto& ids = slots_[slot].workers;
  return std::any_of(ids.begin(), ids.end(), [&](WorkerId id) {
    const Worker& worker = workers_.at(id);
    return worker.state == WorkerState::ready && !worker.staged;
  });
}

bool Engine::takes_connections(unsigned slot) const {
  const auto& ids = slots_[slot].workers;
  return std::any_of(ids.begin(), ids.end(), [&](WorkerId id) {
    const Worker& worker = workers_.at(id);
    return worker.state == WorkerState::ready && !worker.staged && !worker.stopped_since &&
           !worker.liveness.is_hung && !(worker.liveness.has_answered && worker.liveness.silent_since);
  });
}

const Engine::Worker* Engine::find_active(unsigned slot, Generation generation) const {
  for (const WorkerId id : slots_[slot].workers) {
    const Worker& worker = workers_.at(id);
    if (worker.generation == generation && active(worker)) return &worker;
  }
  return nullptr;
}

bool Engine::on_goal(unsigned slot) const {
  const Target* target = goal();
  if (!target) return false;
  const Worker* worker = find_active(slot, target->generation);
  return worker && worker->state == WorkerState::ready;
}

bool Engine::all_on_goal() const {
  for (unsigned slot = 0; slot < forks_; ++slot)
    if (!on_goal(slot)) return false;
  return true;
}

unsigned Engine::surge() const { return pace().surge.of(forks_); }

unsigned Engine::canary() const {
  return upgrade_ && !upgrade_->pace.flip && !upgrade_->baked
             ? std::min(upgrade_->pace.canary.of(forks_), forks_)
             : 0;
}

bool Engine::canary_on_goal() const {
  unsigned on = 0;
  for (unsigned slot = 0; slot < forks_; ++slot)
    if (slots_[slot].turn && on_goal(slot)) ++on;
  return on >= canary();
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

std::set<unsigned> Engine::unserved_slots() const {
  std::set<unsigned> found;
  for (unsigned slot = 0; slot < forks_; ++slot)
    if (!takes_connections(slot)) found.insert(slot);
  return found;
}

Commands Engine::tick(Time now) {
  std::vector<WorkerId> due;
  for (const auto& [id, worker] : workers_)
    if ((worker.deadline && *worker.deadline <= now) || (worker.settle_at && *worker.settle_at <= now))
      due.push_back(id);
  // A deadline may erase another worker, so look each one up again.
  for (const WorkerId id : due)
    if (const auto it = workers_.find(id); it != workers_.end()) worker_deadline(now, it->second);
  if (upgrade_ && upgrade_->deadline && *upgrade_->deadline <= now) upgrade_deadline(now);
  return done(now);
}

std::optional<Time> Engine::next_deadline() const {
  std::optional<Time> next;
  const auto consider = [&](const std::optional<Time>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const auto& [id, worker] : workers_) {
    consider(worker.deadline);
    consider(worker.settle_at);
  }
  for (const Slot& slot : slots_) consider(slot.respawn_at);
  if (upgrade_) consider(upgrade_->deadline);
  consider(replace_at_);
  if (admin_command_) consider(admin_command_->deadline);
  return next;
}

}  // namespace liveswap::rollout
