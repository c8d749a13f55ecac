#include <algorithm>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

bool Engine::rolling() const {
  return upgrade_ && upgrade_->phase != Phase::preparing && upgrade_->phase != Phase::reverting;
}

void Engine::begin_rolling(const std::string& release) {
  upgrade_->phase = Phase::rolling;
  upgrade_->to = {++last_generation_, release};
  upgrade_->deadline.reset();
  for (Slot& slot : slots_) slot.turn = false;
  note(NoteKind::started);
}

Commands Engine::prepared(Time now, const std::string& release) {
  if (upgrade_ && upgrade_->phase == Phase::preparing) begin_rolling(release);
  return done(now);
}

Commands Engine::prepare_failed(Time now, const std::string& text) {
  if (upgrade_ && upgrade_->phase == Phase::preparing) fail_upgrade(now, text);
  return done(now);
}

void Engine::advance_upgrade(Time now) {
  if (!upgrade_ || !all_on_goal()) return;
  switch (upgrade_->phase) {
    case Phase::preparing:
    case Phase::committing: return;
    case Phase::rolling:
      upgrade_->phase = Phase::probation;
      upgrade_->deadline = now + settings_.probation;
      if (settings_.probation == Time{0}) upgrade_deadline(now);
      return;
    case Phase::probation: return;
    case Phase::reverting: close_upgrade(Verdict::reverted, upgrade_->reason); return;
  }
}

void Engine::upgrade_deadline(Time now) {
  upgrade_->deadline.reset();
  switch (upgrade_->phase) {
    case Phase::preparing:
      out_.push_back(CancelPrepare{});
      fail_upgrade(now, "the pre-upgrade plugin took longer than its limit of " +
                            std::to_string(settings_.hook_limit.count()) + " ms");
      return;
    case Phase::probation:
      upgrade_->phase = Phase::committing;
      out_.push_back(Commit{upgrade_->to.release});
      return;
    case Phase::reverting:
      // Going back goes on as ordinary respawn; whoever asked has waited long enough.
      close_upgrade(Verdict::reverted,
                    upgrade_->reason + "; not every slot is back on the old release yet: see `liveswap status`");
      return;
    case Phase::rolling:
    case Phase::committing: return;
  }
}

Commands Engine::committed(Time now) {
  if (!upgrade_ || upgrade_->phase != Phase::committing) return done(now);
  const bool first = !committed_;
  committed_ = upgrade_->to;
  note(NoteKind::committed);
  // What the old release's workers died of is not held against the new one.
  for (Slot& slot : slots_) {
    slot.respawn_at.reset();
    slot.deaths = 0;
  }
  close_upgrade(Verdict::ok,
                "generation " + std::to_string(committed_->generation) + " serves in " + std::to_string(forks_) +
                    (forks_ == 1 ? " slot" : " slots"));
  if (first) out_.push_back(Booted{});
  return done(now);
}

Commands Engine::commit_failed(Time now, const std::string& text) {
  if (upgrade_ && upgrade_->phase == Phase::committing) fail_upgrade(now, text);
  return done(now);
}

// Sets the goal back. Workers of the failed generation that serve a slot stay until the slot's turn in the revert;
// those that do not serve yet are dismissed.
void Engine::fail_upgrade(Time now, const std::string& reason) {
  if (!committed_) {
    begin_stop(false, false, reason);
    return;
  }
  if (upgrade_->phase == Phase::preparing) {
    out_.push_back(Answer{upgrade_->request, Verdict::reverted, reason});
    upgrade_.reset();
    return;
  }
  upgrade_->reason = reason;
  note(NoteKind::reverting, reason);
  upgrade_->phase = Phase::reverting;
  upgrade_->said_waiting = false;
  upgrade_->deadline = now + 2 * settings_.ready_limit + settings_.drain_limit.value_or(Time{0});
  for (Slot& slot : slots_) {
    slot.turn = false;
    slot.respawn_at.reset();
    slot.deaths = 0;
  }
  for (auto& [id, worker] : workers_)
    if (worker.generation == upgrade_->to.generation && worker.state == WorkerState::starting) dismiss(now, worker);
}

// The upgrade is decided. Its answer waits for the workers that it has sent away.
void Engine::close_upgrade(Verdict verdict, const std::string& text) {
  Farewell farewell{Answer{upgrade_->request, verdict, text}, {}};
  for (const auto& [id, worker] : workers_)
    if (!active(worker) && !farewell_of(id)) farewell.workers.insert(id);
  for (Slot& slot : slots_) slot.turn = false;
  upgrade_.reset();
  if (farewell.workers.empty())
    out_.push_back(farewell.answer);
  else
    farewells_.push_back(std::move(farewell));
}

}  // namespace liveswap::rollout
