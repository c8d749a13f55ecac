#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "rollout/engine.hpp"

namespace liveswap::rollout {

bool Engine::rolling() const {
  return upgrade_ && upgrade_->phase != Phase::preparing && upgrade_->phase != Phase::reverting;
}

void Engine::begin_upgrade(Time now, RequestId id, const UpgradeRequest& request) {
  upgrade_ = Upgrade{};
  upgrade_->request = id;
  upgrade_->asked = request.path;
  upgrade_->pace = request.pace;
  upgrade_->profile = request.profile;
  upgrade_->urgent = request.overtake;
  upgrade_->remark = request.remark;
  if (request.release) {
    begin_rolling(*request.release);
    return;
  }
  upgrade_->phase = Phase::preparing;
  upgrade_->deadline = now + settings_.prepare_limit;
  note(NoteKind::preparing, request.path);
  out_.push_back(Prepare{id, request.path});
}

void Engine::begin_rolling(const Release& release) {
  upgrade_->phase = Phase::rolling;
  upgrade_->to = {++last_generation_, release, upgrade_->profile.value_or(profile())};
  upgrade_->deadline.reset();
  upgrade_->flip_ahead = upgrade_->pace.flip && committed_ && settings_.zero_downtime;
  for (Slot& slot : slots_) slot.turn = false;
  see_all();
  note(NoteKind::started, upgrade_->remark);
  ask_memory();
}

// Begins the queued upgrade.
bool Engine::begin_queued(Time now) {
  if (!queue_ || in_the_way_of_upgrade()) return false;
  const Queued next = *std::exchange(queue_, std::nullopt);
  // A failed grow may have reduced `forks` since.
  if (const auto why = impossible(next.request)) out_.push_back(Answer{next.id, Verdict::refused, *why});
  else begin_upgrade(now, next.id, next.request);
  return true;
}

Commands Engine::prepared(Time now, const Release& release, const std::string& remark) {
  if (upgrade_ && upgrade_->phase == Phase::preparing) {
    upgrade_->remark = joined(joined(same_content(release), remark), upgrade_->remark);
    begin_rolling(release);
  }
  return done(now);
}

// Upgrading to the same content is allowed: it restarts every worker. But the likely cause is a forgotten
// build, or a new build behind a symbolic link that is not part of this path.
std::string Engine::same_content(const Release& release) const {
  if (!committed_ || committed_->release.id != release.id) return "";
  return "the file has the same content as the release that serves (" + short_id(committed_->release.id) +
         ")";
}

Commands Engine::prepare_failed(Time now, const std::string& text) {
  if (upgrade_ && upgrade_->phase == Phase::preparing) fail_upgrade(now, text);
  return done(now);
}

Commands Engine::unfit(Time now, const std::string& text) {
  if (!upgrade_ || upgrade_->phase != Phase::preparing) return done(now);
  if (committed_) close_upgrade(Verdict::refused, text);
  else fail_upgrade(now, text);
  return done(now);
}

void Engine::advance_upgrade(Time now) {
  if (!upgrade_) return;
  if (upgrade_->phase == Phase::rolling && canary() > 0 && overview_.turns_on_goal() >= canary()) bake(now);
  if (!all_on_goal()) return;
  switch (upgrade_->phase) {
    case Phase::preparing:
    case Phase::baking:
    case Phase::flipping:
    case Phase::probation:
    case Phase::committing: return;
    case Phase::rolling:
      if (upgrade_->flip_ahead) flip();
      else begin_probation(now);
      return;
    case Phase::reverting: close_upgrade(Verdict::reverted, upgrade_->reason); return;
  }
}

void Engine::bake(Time now) {
  upgrade_->phase = Phase::baking;
  upgrade_->deadline = now + upgrade_->pace.bake;
  upgrade_->probed = false;
  note(NoteKind::baking);
  if (upgrade_->pace.bake == Time{0}) upgrade_deadline(now);
}

// The time until the settle times of all workers have ended.
Time Engine::unproven(Time now) const {
  Time rest{0};
  for (const auto& [id, worker] : workers_)
    if (worker.proven_at) rest = std::max(rest, *worker.proven_at - now);
  return rest;
}

// At the first start no old code serves, so a death within the settle time is a failed start.
void Engine::begin_probation(Time now) {
  const Time rest = committed_ ? upgrade_->pace.probation : unproven(now);
  upgrade_->phase = Phase::probation;
  upgrade_->deadline = now + rest;
  upgrade_->probed = false;
  if (upgrade_->pace.probation > Time{0} || (settings_.health && committed_)) note(NoteKind::probation);
  if (rest == Time{0}) upgrade_deadline(now);
}

// All successors are ready and have had no connection. The Flip gives them all new ones.
void Engine::flip() {
  upgrade_->phase = Phase::flipping;
  upgrade_->flip_ahead = false;
  for (auto& [id, worker] : workers_) worker.staged = worker.generation != upgrade_->to.generation;
  see_all();
  note(NoteKind::flipping);
  out_.push_back(Flip{});
}

Commands Engine::flipped(Time now) {
  if (!flipping()) return done(now);
  note(NoteKind::flipped);
  for (unsigned slot = 0; slot < slots_.size(); ++slot) drain_slot(now, slot, upgrade_->to.generation);
  upgrade_->phase = Phase::probation;
  if (upgrade_->reason.empty()) begin_probation(now);
  else fail_upgrade(now, upgrade_->reason);
  return done(now);
}

Commands Engine::flip_failed(Time now, const std::string& text) {
  if (!flipping()) return done(now);
  for (auto& [id, worker] : workers_) worker.staged = worker.generation == upgrade_->to.generation;
  upgrade_->phase = Phase::rolling;
  see_all();
  fail_upgrade(now, upgrade_->reason.empty() ? text : upgrade_->reason);
  return done(now);
}

// Bake or probation has passed, or the operator has promoted the release.
void Engine::end_trial(Time now) {
  (void)now;
  upgrade_->deadline.reset();
  if (upgrade_->phase == Phase::baking) {
    upgrade_->baked = true;
    upgrade_->phase = Phase::rolling;
    note(NoteKind::started);
    return;
  }
  upgrade_->phase = Phase::committing;
  out_.push_back(Commit{upgrade_->to.release});
}

void Engine::upgrade_deadline(Time now) {
  upgrade_->deadline.reset();
  switch (upgrade_->phase) {
    case Phase::preparing:
      out_.push_back(CancelPrepare{});
      fail_upgrade(now, "preparing it took longer than the limit of " +
                            std::to_string(settings_.prepare_limit.count()) + " ms");
      return;
    case Phase::baking:
    case Phase::probation:
      // A good probe is needed; the next one decides (probed()).
      if (!settings_.health || !committed_ || upgrade_->sick_before.value_or(false) ||
          (upgrade_->probed && upgrade_->failed_probes == 0))
        end_trial(now);
      return;
    case Phase::reverting:
      // The revert goes on as ordinary respawns; the requester gets an answer now.
      close_upgrade(
          Verdict::reverted,
          upgrade_->reason + "; not every slot is back on the old release yet: see `liveswap status`");
      return;
    case Phase::rolling:
    case Phase::flipping:
    case Phase::committing: return;
  }
}

Commands Engine::committed(Time now) {
  if (!upgrade_ || upgrade_->phase != Phase::committing) return done(now);
  const bool first = !committed_;
  committed_ = upgrade_->to;
  note(NoteKind::committed);
  // Deaths of the old release's workers do not count against the new one.
  for (Slot& slot : slots_) {
    slot.respawn_at.reset();
    slot.deaths = 0;
  }
  see_all();
  close_upgrade(Verdict::ok, joined("generation " + std::to_string(committed_->generation) + " serves in " +
                                        std::to_string(forks_) + (forks_ == 1 ? " slot" : " slots"),
                                    upgrade_->remark));
  if (first) out_.push_back(Booted{});
  return done(now);
}

// A rollback goes on even if its record cannot be written: a full disk must not keep bad code running.
Commands Engine::commit_failed(Time now, const std::string& text) {
  if (!upgrade_ || upgrade_->phase != Phase::committing) return done(now);
  if (upgrade_->urgent && committed_) {
    upgrade_->remark = joined("the record is behind, so a restart would begin with an earlier release (" +
                                  text + "); it is tried again",
                              upgrade_->remark);
    return committed(now);
  }
  fail_upgrade(now, text);
  return done(now);
}

// Sets the goal back. Ready workers of the failed generation serve until their slot's turn in the revert;
// the others are drained now.
void Engine::fail_upgrade(Time now, const std::string& reason) {
  if (!committed_) {
    upgrade_.reset();
    see_all();
    begin_stop(false, false, reason);
    return;
  }
  if (upgrade_->phase == Phase::preparing) {
    close_upgrade(Verdict::reverted, reason);
    return;
  }
  if (upgrade_->reason.empty()) upgrade_->reason = reason;
  if (flipping()) return;  // wait for flipped()
  note(NoteKind::reverting, reason);
  upgrade_->phase = Phase::reverting;
  upgrade_->said_waiting = false;
  upgrade_->flip_ahead = false;
  if (upgrade_->pace.flip) upgrade_->pace.batch = forks_;  // all slots at once
  upgrade_->deadline = now + 2 * settings_.ready_limit + settings_.drain_limit.value_or(Time{0});
  for (Slot& slot : slots_) {
    slot.turn = false;
    slot.respawn_at.reset();
    slot.deaths = 0;
  }
  see_all();
  for (auto& [id, worker] : workers_)
    if (worker.generation == upgrade_->to.generation && active(worker) &&
        (worker.state == WorkerState::starting || worker.staged))
      drain_worker(now, worker);
}

// Decides the upgrade. Its answers wait until the workers that it drains have exited.
void Engine::close_upgrade(Verdict verdict, const std::string& text) {
  note(NoteKind::leaving);
  if (verdict == Verdict::ok && upgrade_->cuts) verdict = Verdict::cut;
  PendingAnswer pending{{Answer{upgrade_->request, verdict, text}}, {}, 0, upgrade_->mended};
  for (const RequestId abort : upgrade_->aborts)
    pending.answers.push_back(Answer{abort, Verdict::ok, "reverted"});
  if (upgrade_->phase != Phase::preparing)
    for (const auto& [id, worker] : workers_)
      if (!active(worker) && !pending_answer_of(id)) pending.workers.insert(id);
  for (Slot& slot : slots_) slot.turn = false;
  upgrade_.reset();
  see_all();
  if (pending.workers.empty()) answer(pending);
  else pending_answers_.push_back(std::move(pending));
}

}  // namespace liveswap::rollout
