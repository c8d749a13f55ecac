#include <utility>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

// Call at the end of every event. Reconciles and returns the commands.
Commands Engine::done(Time now) {
  // A due respawn needs no deadline any more: fill_empty_slots() spawns, now or after a later event.
  for (const unsigned slot : overview_.respawns_due(now)) {
    slots_[slot].respawn_at.reset();
    see(slot);
  }
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
  if (!std::exchange(stopping_->is_told, true))
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

// A slot that no worker serves may need one: it has none that starts, or that one needs a stopgap.
void Engine::fill_empty_slots(Time now) {
  if (flipping()) return;
  const auto& unserved = overview_.unserved();
  for (auto it = unserved.begin(); it != unserved.end();) {
    const unsigned slot = *it;
    ++looks_;
    if (!slots_[slot].respawn_at) {
      const bool stopgap = needs_stopgap(slot);
      const auto target = stopgap                         ? committed_
                          : overview_.of(slot).active > 0 ? std::nullopt
                                                          : target_for_empty(slot);
      if (target && may_spawn(slot)) spawn(now, slot, *target);
    }
    it = unserved.upper_bound(slot);  // spawn() may have changed the set
  }
}

// `surge` bounds the workers that start or serve, not those that drain. With surge 0 (not enough memory, or
// a server that must run alone) the old worker must have exited first.
bool Engine::may_spawn(unsigned slot) const {
  if (surge() == 0) return slots_[slot].workers.empty();
  return overview_.active() < std::size_t{forks_} + surge();
}

// The old worker died while its successor starts, so the slot is not served. No stopgap for code that keeps
// dying, unless the successor is staged and serves nothing.
bool Engine::needs_stopgap(unsigned slot) const {
  return settings_.zero_downtime && surge() > 0 && rolling() && committed_ && overview_.of(slot).active > 0 &&
         !overview_.of(slot).is_served && !find_active(slot, committed_->generation) &&
         (slots_[slot].deaths <= 1 || upgrade_->flip_ahead);
}

bool Engine::waits_for_respawn(unsigned slot) const {
  return slots_[slot].respawn_at && committed_ && goal()->generation == committed_->generation;
}

// Whether one more slot may have its turn while others have theirs; without zero downtime all have it at
// once. `--batch auto` bounds two things. Workers that really start (load the code, initialise) take
// processor time from those that serve: there are at most as many as processors. Those that only wait for
// their settle time cost nothing: with them there are at most a quarter of the slots. The first successor of
// a release is alone, so that code which cannot start is started once.
bool Engine::may_begin_turn() const {
  if (!settings_.zero_downtime) return true;
  const std::size_t under_way = overview_.turns() - overview_.turns_on_goal();
  if (pace().batch) return under_way < *pace().batch;
  if (under_way == 0) return true;
  const bool is_proven = !rolling() || overview_.turns_on_goal() > 0;
  return is_proven && under_way < forks_ / 4 && overview_.working() < settings_.processors;
}

// Gives turns to slots that are not on the goal.
void Engine::take_turns(Time now) {
  if (!goal() || flipping()) return;
  // Slots that have lost their worker during their turn.
  const auto& lost = overview_.lost_in_turn();
  for (auto it = lost.begin(); it != lost.end();) {
    const unsigned slot = *it;
    ++looks_;
    if (!waits_for_respawn(slot) && !take_turn(now, slot)) return;
    it = lost.upper_bound(slot);
  }
  const unsigned at_most = rolling() && committed_ && canary() > 0 ? canary() : forks_;
  const bool is_baking = upgrade_ && upgrade_->phase == Phase::baking;
  const auto& behind = overview_.behind();
  for (auto it = behind.begin(); it != behind.end();) {
    if (is_baking || overview_.turns() >= at_most || !may_begin_turn()) return;
    const unsigned slot = *it;
    ++looks_;
    if (!waits_for_respawn(slot) && !take_turn(now, slot)) return;
    it = behind.upper_bound(slot);
  }
}

// Starts the slot's successor; with surge 0 or without zero downtime it ends the old worker first. False:
// no room for another worker now (surge or memory).
bool Engine::take_turn(Time now, unsigned slot) {
  const bool old_first = surge() == 0 || !settings_.zero_downtime;
  if (!old_first && !may_spawn(slot)) return false;
  if (!old_first && wait_for_memory(now)) return false;
  slots_[slot].turn = true;
  see(slot);
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
  see(slot);
  out_.push_back(Spawn{worker.id, slot, target.generation, target.release, worker.staged, target.profile});
  note(NoteKind::spawned, it->second, now);
}

}  // namespace liveswap::rollout
