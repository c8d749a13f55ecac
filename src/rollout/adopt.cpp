#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

// An engine that goes on where another one has stopped: from facts, not from the state of a procedure.
namespace liveswap::rollout {

std::optional<std::string> Engine::unrest() const {
  if (const auto why = under_way()) return why;
  for (const auto& [id, worker] : workers_)
    if (worker.state == WorkerState::starting)
      return "a worker is starting in slot " + std::to_string(worker.slot);
  return std::nullopt;
}

bool Engine::is_at_rest() const { return !unrest() && !queue_ && pending_answers_.empty() && out_.empty(); }

Engine::Facts Engine::facts() const {
  Facts facts{committed_->release, committed_->generation, last_generation_, last_worker_, forks_, {}, {}};
  for (const Slot& slot : slots_) facts.slots.push_back({slot.restarts, slot.deaths, slot.respawn_at});
  for (const auto& [id, worker] : workers_) facts.workers.push_back(worker);
  return facts;
}

Commands Engine::adopt(Time now, const Facts& facts) {
  committed_ = Target{facts.generation, facts.release};
  last_generation_ = facts.last_generation;
  last_worker_ = facts.last_worker;
  forks_ = facts.forks;
  slots_.assign(facts.slots.size(), Slot{});
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].restarts = facts.slots[i].restarts;
    slots_[i].deaths = facts.slots[i].deaths;
    slots_[i].respawn_at = facts.slots[i].respawn_at;
  }
  for (const Worker& worker : facts.workers) {
    workers_[worker.id] = worker;
    slots_[worker.slot].workers.push_back(worker.id);
  }
  return done(now);
}

Commands Engine::answer_early(Time now) {
  for (PendingAnswer& pending : std::exchange(pending_answers_, {})) {
    pending.answers.front().text += "; workers that it has replaced still drain (" +
                                    std::to_string(pending.workers.size()) +
                                    "): they are not waited for, since the master is re-executed";
    answer(std::move(pending));
  }
  return done(now);
}

}  // namespace liveswap::rollout
