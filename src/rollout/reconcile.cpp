#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

// Call at the end of every event. Reconciles and returns the commands.
Commands Engine::done(Time now) {
  // A due respawn needs no deadline any more: fill_empty_slots() spawns, now or after a later event.
  for (Slot& slot : slots_)
    if (slot.respawn_at && *slot.respawn_at <= now) slot.respawn_at.reset();
  // A queued rollback gets a failed upgrade's slots at once.
  if (reverting() && queue_ && queue_->request.overtake) close_upgrade(Verdict::reverted, upgrade_->reason);
  const bool rollback_begins = queue_ && queue_->request.overtake && !in_the_way_of_upgrade();
  if (!quit_ && !rollback_begins) reconcile(now);
  while (begin_queued(now)) reconcile(now);
  limit_draining(now);
  return std::exchange(out_, {});
}

void Engine::reconcile(Time now) {
  if (!stopping_) {
    fill_empty_slots(now);
    take_turns(now);
    advance_upgrade(now);
  }
  // The end of the upgrade may have changed the goal, or begun a stop.
  if (!stopping_) {
    fill_empty_slots(now);
    take_turns(now);
    advance_admin_command(now);
    replace_hung(now);
    clear_way_back(now);
    // A kill or a rollback may have ended a change of forks without closing its slots.
    if (!admin_command_ && slots_.size() > forks_ && !vanishing()) close_slots();
  }
  if (stopping_) reconcile_stop(now);
}

void Engine::reconcile_stop(Time now) {
  for (auto& [id, worker] : workers_) {
    if (stopping_->at_once && (active(worker) || worker.step < DrainStep::termed))
      force(now, worker, DrainStep::termed);
    else if (active(worker)) drain_worker(now, worker);
  }
  if (!workers_.empty()) return;
  for (const RequestId request : stopping_->requests) out_.push_back(Answer{request, Verdict::ok, "stopped"});
  out_.push_back(Quit{stopping_->ok, stopping_->text});
  quit_ = true;
}

// A respawn runs the committed release; a slot that has had its turn runs the goal.
std::optional<Engine::Target> Engine::target_for_empty(unsigned slot) const {
  if (rolling() && (slots_[slot].turn || !committed_)) return upgrade_->to;
  return committed_;
}

void Engine::fill_empty_slots(Time now) {
  if (flipping()) return;
  for (unsigned slot = 0; slot < forks_; ++slot) {
    if (slots_[slot].respawn_at) continue;
    const bool stopgap = needs_stopgap(slot);
    const auto target = stopgap ? committed_ : has_active(slot) ? std::nullopt : target_for_empty(slot);
    if (target && may_spawn(slot)) spawn(now, slot, *target);
  }
}

// `surge` bounds the workers that start or serve, not those that drain. With surge 0 (not enough memory, or
// a server that must run alone) the old worker must have exited first.
bool Engine::may_spawn(unsigned slot) const {
  if (surge() == 0) return slots_[slot].workers.empty();
  const auto busy = std::count_if(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.slot < forks_ && active(entry.second);
  });
  return static_cast<std::size_t>(busy) < std::size_t{forks_} + surge();
}

// The old worker died while its successor starts, so the slot is not served. No stopgap for code that keeps
// dying, unless the successor is staged and serves nothing.
bool Engine::needs_stopgap(unsigned slot) const {
  return settings_.zero_downtime && surge() > 0 && rolling() && committed_ && has_active(slot) &&
         !served(slot) && !find_active(slot, committed_->generation) &&
         (slots_[slot].deaths <= 1 || upgrade_->flip_ahead);
}

// Gives turns to slots that are not on the goal, at most `batch` at once; without zero downtime all at
// once.
void Engine::take_turns(Time now) {
  if (!goal() || flipping()) return;
  unsigned under_way = 0;
  unsigned turns = 0;
  for (unsigned slot = 0; slot < forks_; ++slot) {
    if (slots_[slot].turn) ++turns;
    if (slots_[slot].turn && !on_goal(slot)) ++under_way;
  }
  const unsigned at_most = rolling() && committed_ && canary() > 0 ? canary() : forks_;
  for (unsigned slot = 0; slot < forks_; ++slot) {
    if (on_goal(slot) || find_active(slot, goal()->generation)) continue;
    const bool again = slots_[slot].turn;
    if (!again && (turns >= at_most || (upgrade_ && upgrade_->phase == Phase::baking))) continue;
    if (!again && settings_.zero_downtime && under_way >= pace().batch) continue;
    if (slots_[slot].respawn_at && committed_ && goal()->generation == committed_->generation) continue;
    if (!take_turn(now, slot)) return;
    if (!again) ++under_way, ++turns;
  }
}

// Starts the slot's successor; with surge 0 or without zero downtime it ends the old worker first. False:
// no room for another worker now (surge or memory).
bool Engine::take_turn(Time now, unsigned slot) {
  const bool old_first = surge() == 0 || !settings_.zero_downtime;
  if (!old_first && !may_spawn(slot)) return false;
  if (!old_first && wait_for_memory(now)) return false;
  slots_[slot].turn = true;
  if (!old_first) {
    spawn(now, slot, *goal());
    return true;
  }
  for (const WorkerId id : slots_[slot].workers) {
    Worker& worker = workers_.at(id);
    if (!active(worker)) continue;
    if (settings_.zero_downtime) drain_worker(now, worker);
    else force(now, worker, DrainStep::termed);
  }
  if (may_spawn(slot)) spawn(now, slot, *goal());
  return true;
}

void Engine::spawn(Time now, unsigned slot, const Target& target) {
  Worker worker;
  worker.id = ++last_worker_;
  worker.slot = slot;
  worker.generation = target.generation;
  worker.release = target.release;
  worker.staged = upgrade_ && upgrade_->flip_ahead && target.generation == goal()->generation;
  worker.spawned = now;
  worker.deadline = now + settings_.ready_limit;
  slots_[slot].respawn_at.reset();
  const auto it = workers_.emplace(worker.id, worker).first;
  slots_[slot].workers.push_back(worker.id);
  out_.push_back(Spawn{worker.id, slot, target.generation, target.release, worker.staged, target.profile});
  note(NoteKind::spawned, it->second, now);
}

}  // namespace liveswap::rollout
