#include <algorithm>

#include "rollout/engine.hpp"

// Hung workers. The master asks each serving worker by itself whether it answers, and reports the results. A
// worker that leaves `liveness_failures` checks in a row unanswered counts as hung:
//
//   - A worker of the release that is rolled out: the upgrade fails, as by a crash.
//   - Another one is replaced by a worker of the same release, one slot at a time and not too often
//     (ReplacementLimits). The successor starts on the same sockets, so it gets what waits in the accept
//     queue. When it is ready, the hung worker is killed: it could not drain.
//
// A slot that has its turn in an upgrade is left to the upgrade, which kills the hung worker at the same
// point. A worker that answers again is no longer hung; if its successor has been started by then, it drains.
//
// A check that no worker has ever answered judges nobody: its path or command is wrong, or the application
// cannot be asked in this way.
namespace liveswap::rollout {

bool Engine::is_asked(const Worker& worker) const {
  return worker.state == WorkerState::ready && !worker.staged;
}

bool Engine::can_be_asked(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
           return entry.first != id && entry.second.release.id == it->second.release.id &&
                  entry.second.liveness.has_answered;
         });
}

Commands Engine::answered(Time now, WorkerId id) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || !is_asked(it->second)) return done(now);
  Worker& worker = it->second;
  check_is_proven_ = true;
  const bool was_silent = worker.liveness.silent_since.has_value();
  worker.liveness = Liveness{};
  worker.liveness.has_answered = true;
  see(worker.slot);
  if (was_silent) note(NoteKind::answering, worker, now);
  return done(now);
}

Commands Engine::cannot_be_asked(Time now, WorkerId id) {
  if (const auto it = workers_.find(id); it != workers_.end()) {
    it->second.liveness = Liveness{};
    see(it->second.slot);
  }
  return done(now);
}

Commands Engine::unanswered(Time now, WorkerId id, const std::string& text) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || !is_asked(it->second)) return done(now);
  Worker& worker = it->second;
  worker.liveness.text = text;
  ++worker.liveness.unanswered;
  if (!worker.liveness.silent_since) {
    worker.liveness.silent_since = now;
    see(worker.slot);
    note(NoteKind::silent, worker, now, text);
  }
  if (!worker.liveness.is_hung && counts_as_hung(now, worker.liveness)) hang(now, worker);
  return done(now);
}

void Engine::forget_liveness() {
  check_is_proven_ = false;
  for (auto& [id, worker] : workers_) worker.liveness = Liveness{};
  see_all();
}

// Of an adopted worker: the checks begin anew, and so do the limits.
void Engine::resume_liveness(Worker& worker) {
  const bool has_answered = worker.liveness.has_answered;
  worker.liveness = Liveness{};
  worker.liveness.has_answered = has_answered;
  worker.replaces = 0;
  check_is_proven_ |= has_answered;
}

bool Engine::counts_as_hung(Time now, const Liveness& liveness) const {
  return check_is_proven_ && settings_.liveness_failures > 0 &&
         liveness.unanswered >= settings_.liveness_failures &&
         (liveness.has_answered || now - *liveness.silent_since >= settings_.first_answer);
}

void Engine::hang(Time now, Worker& worker) {
  worker.liveness.is_hung = true;
  see(worker.slot);
  const std::string text = "slot " + std::to_string(worker.slot) +
                           ", stage run: it hangs: " + std::to_string(worker.liveness.unanswered) +
                           " liveness checks in a row unanswered, the last: " + worker.liveness.text;
  note(NoteKind::hung, worker, now, text);
  if (!stopping_ && rolling() && worker.generation == upgrade_->to.generation) fail_upgrade(now, text);
}

// The worker of the committed release in this slot that is to be replaced; 0: none. Other hung workers leave
// with the turn of their slot.
WorkerId Engine::hung_in(unsigned slot) const {
  if (slots_[slot].respawn_at || (rolling() && slots_[slot].turn)) return 0;
  WorkerId found = 0;
  for (const WorkerId id : slots_[slot].workers) {
    const Worker& worker = workers_.at(id);
    if (!active(worker) || worker.generation != committed_->generation) continue;
    if (!worker.liveness.is_hung) return 0;  // its successor, or another worker that serves
    found = id;
  }
  return found;
}

void Engine::replace_hung(Time now) {
  replace_at_.reset();
  if (!committed_ || flipping() || overview_.replacing() > 0) return;
  for (const unsigned slot : overview_.hung()) {
    ++looks_;
    const WorkerId id = hung_in(slot);
    if (id == 0) continue;
    if (const Time at = replacements_.next(now, slot, forks_); at > now) {
      replace_at_ = std::min(replace_at_.value_or(at), at);
      continue;
    }
    if (replace(now, slot, id)) return;
  }
}

// With surge 0 or without zero downtime the hung worker goes first, and only while every other slot is
// served. False: not now.
bool Engine::replace(Time now, unsigned slot, WorkerId hung) {
  if (surge() > 0 && settings_.zero_downtime) {
    if (!may_spawn(slot)) return false;
    spawn(now, slot, *committed_);
    workers_.at(last_worker_).replaces = hung;
    see(slot);
  } else {
    for (const unsigned other : overview_.unserved())
      if (other != slot) return false;
    drain_worker(now, workers_.at(hung));
    if (may_spawn(slot)) spawn(now, slot, *committed_);
  }
  ++slots_[slot].restarts;
  replacements_.note(now, slot);
  return true;
}

// The successor of a hung worker is ready.
void Engine::end_replaced(Time now, const Worker& successor) {
  const auto it = workers_.find(successor.replaces);
  if (it != workers_.end() && active(it->second)) drain_worker(now, it->second);
}

}  // namespace liveswap::rollout
