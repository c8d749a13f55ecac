#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

// An engine that goes on where another one has stopped: from facts, not from the state of a procedure.
namespace liveswap::rollout {

std::optional<std::string> Engine::unrest() const {
  if (const auto why = is_emptying() ? std::nullopt : under_way()) return why;
  for (const auto& [id, worker] : workers_)
    if (worker.state == WorkerState::starting)
      return "a worker is starting in slot " + std::to_string(worker.slot);
  return std::nullopt;
}

// A new engine closes removed slots by itself when their workers have exited (reconcile()).
bool Engine::is_emptying() const {
  return admin_command_ && admin_command_->kind == AdminCommand::Kind::shrink && !admin_command_->deadline &&
         !upgrade_ && !stopping_;
}

bool Engine::is_at_rest() const {
  return !unrest() && !admin_command_ && !queue_ && pending_answers_.empty() && out_.empty();
}

Engine::Facts Engine::facts() const {
  Facts facts{committed_->release, committed_->generation, last_generation_, last_worker_, forks_, {}, {}};
  for (const Slot& slot : slots_)
    facts.slots.push_back({slot.restarts, slot.deaths, slot.respawn_at, slot.turn});
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
    slots_[i].turn = facts.slots[i].turn;
  }
  for (const Worker& worker : facts.workers) {
    resume_liveness(workers_[worker.id] = worker);
    slots_[worker.slot].workers.push_back(worker.id);
  }
  return done(now);
}

Commands Engine::answer_early(Time now) {
  const auto text_for = [](const char* which, auto count) {
    return std::string("; workers ") + which + " still drain (" + std::to_string(count) +
           "): they are not waited for, since the master is re-executed";
  };
  for (PendingAnswer& pending : std::exchange(pending_answers_, {})) {
    pending.answers.front().text += text_for("that it has replaced", pending.workers.size());
    answer(std::move(pending));
  }
  if (is_emptying()) {
    const auto is_removed = [this](const auto& entry) { return entry.second.slot >= forks_; };
    if (admin_command_->verdict == Verdict::ok) admin_command_->text = shrunk_text();
    admin_command_->text +=
        text_for("of removed slots", std::count_if(workers_.begin(), workers_.end(), is_removed));
    end_admin_command();
  }
  return done(now);
}

}  // namespace liveswap::rollout
