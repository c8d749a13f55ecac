#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

std::optional<std::string> Engine::under_way() const {
  if (stopping_) return "the master is stopping";
  if (!committed_) return "the master is still starting";
  if (upgrade_) {
    // While preparing, only the requested path is known.
    const std::string& path = upgrade_->to.release.path.empty() ? upgrade_->asked : upgrade_->to.release.path;
    const std::string what = path.empty() ? "" : " to " + path;
    return upgrade_->phase == Phase::reverting ? "a failed upgrade" + what + " is being reverted"
                                               : "an upgrade" + what + " is under way";
  }
  if (admin_command_)
    return admin_command_->kind == AdminCommand::Kind::kill ? "a kill is under way"
                                                            : "a change of forks is under way";
  return std::nullopt;
}

std::optional<std::string> Engine::in_the_way_of_upgrade() const {
  const bool passable =
      admin_command_ && admin_command_->kind == AdminCommand::Kind::shrink && !upgrade_ && !stopping_;
  return passable ? std::nullopt : under_way();
}

// There is no old release to return to or to compare with: no canary, no probation.
Commands Engine::boot(Time now, const UpgradeRequest& request) {
  UpgradeRequest start = request;
  start.pace.canary = {};
  start.pace.probation = Time{0};
  begin_upgrade(now, 0, start);
  return done(now);
}

// Why such an upgrade cannot be made; nullopt: it can.
std::optional<std::string> Engine::impossible(const UpgradeRequest& request) const {
  if (const auto [canary, percent] = request.pace.canary; !percent && canary > forks_)
    return "a canary of " + std::to_string(canary) + ", but there are " + std::to_string(forks_) +
           (forks_ == 1 ? " slot" : " slots") +
           (canary <= 100 ? "; was " + std::to_string(canary) + "% meant?" : "");
  if (request.pace.flip && request.pace.canary.of(forks_) > 0)
    return "a flip and a canary exclude each other: a canary serves beside the old release";
  if (request.pace.flip && settings_.zero_downtime && request.pace.surge.of(forks_) < forks_)
    return "a flip needs a successor beside every worker: surge 100%";
  return std::nullopt;
}

Commands Engine::upgrade(Time now, RequestId id, const UpgradeRequest& request) {
  const auto refuse = [&](const std::string& why) {
    out_.push_back(Answer{id, Verdict::refused, why});
    return done(now);
  };
  if (const auto why = impossible(request)) return refuse(*why);
  const auto busy = in_the_way_of_upgrade();
  if (!busy) {
    begin_upgrade(now, id, request);
    return done(now);
  }
  if (stopping_ || !committed_ || (!request.queue && !request.overtake)) return refuse(*busy);
  enqueue(id, request);
  if (request.overtake) make_way_for_rollback(now);
  return done(now);
}

// A rollback waits only for a flip or commit in progress. It gets a failed upgrade's slots as they are
// (done()).
void Engine::make_way_for_rollback(Time now) {
  if (admin_command_ && admin_command_->kind != AdminCommand::Kind::shrink)
    abandon_admin_command("a rollback was asked for before every slot was served");
  if (!may_abort()) return;
  if (upgrade_->phase == Phase::preparing) out_.push_back(CancelPrepare{});
  fail_upgrade(now, "aborted: a rollback was asked for");
}

// A newer request replaces the queued one.
void Engine::enqueue(RequestId id, const UpgradeRequest& request) {
  if (queue_) out_.push_back(Answer{queue_->id, Verdict::refused, "overtaken by a later upgrade"});
  queue_ = Queued{id, request};
  Note note;
  note.kind = NoteKind::queued;
  note.request = id;
  note.text = *under_way();
  out_.push_back(std::move(note));
}

Commands Engine::promote(Time now, RequestId request) {
  const bool trial = upgrade_ && (upgrade_->phase == Phase::baking || upgrade_->phase == Phase::probation);
  if (!trial) {
    out_.push_back(Answer{request, Verdict::refused, "no upgrade is baking or in probation"});
    return done(now);
  }
  out_.push_back(Answer{request, Verdict::ok,
                        upgrade_->phase == Phase::baking ? "the bake is over, the other slots follow"
                                                         : "the probation is over"});
  end_trial(now);
  return done(now);
}

bool Engine::may_abort() const {
  return upgrade_ && committed_ && upgrade_->phase != Phase::committing &&
         upgrade_->phase != Phase::reverting && !stopping_;
}

Commands Engine::abort(Time now, RequestId request) {
  if (!may_abort()) {
    const auto busy = under_way();
    out_.push_back(Answer{request, Verdict::refused, busy ? *busy : "no upgrade is under way"});
    return done(now);
  }
  upgrade_->aborts.push_back(request);
  if (upgrade_->phase == Phase::preparing) out_.push_back(CancelPrepare{});
  fail_upgrade(now, "aborted on request");
  return done(now);
}

// Kills all workers. An upgrade under way fails; the slots respawn the committed release.
Commands Engine::kill(Time now, RequestId request) {
  if (stopping_ || !committed_ || (admin_command_ && admin_command_->kind == AdminCommand::Kind::kill)) {
    out_.push_back(Answer{request, Verdict::refused, *under_way()});
    return done(now);
  }
  if (admin_command_) abandon_admin_command("all workers were killed on request");
  if (upgrade_) {
    if (upgrade_->phase == Phase::preparing) out_.push_back(CancelPrepare{});
    if (upgrade_->phase != Phase::reverting) fail_upgrade(now, "all workers were killed on request");
  }
  for (auto& [id, worker] : workers_)
    if (active(worker) || worker.step < DrainStep::termed) force(now, worker, DrainStep::termed);
  for (Slot& slot : slots_) {
    slot.respawn_at.reset();
    slot.deaths = 0;
  }
  see_all();
  admin_command_ = AdminCommand{};
  admin_command_->request = request;
  admin_command_->deadline = now + 2 * settings_.term_grace + settings_.ready_limit;
  return done(now);
}

Commands Engine::forks(Time now, RequestId request, unsigned count) {
  if (const auto busy = under_way()) {
    out_.push_back(Answer{request, Verdict::refused, *busy});
    return done(now);
  }
  admin_command_ = AdminCommand{};
  admin_command_->request = request;
  admin_command_->forks_before = forks_;
  if (count >= forks_) {
    admin_command_->kind = AdminCommand::Kind::grow;
    admin_command_->deadline = now + settings_.ready_limit;
    slots_.resize(count);
  } else {
    admin_command_->kind = AdminCommand::Kind::shrink;
    admin_command_->deadline = now + settings_.unsteer;
    out_.push_back(Steer{count});
  }
  forks_ = count;
  see_all();
  return done(now);
}

void Engine::advance_admin_command(Time now) {
  if (!admin_command_) return;
  const bool due = admin_command_->deadline && *admin_command_->deadline <= now;
  if (admin_command_->kind == AdminCommand::Kind::shrink) {
    advance_shrink(now, due);
    return;
  }
  admin_command_->text = std::to_string(forks_) + (forks_ == 1 ? " worker is ready" : " workers are ready");
  // A kill ends when the killed workers have exited; a grow does not wait for draining workers.
  if (all_on_goal() && (admin_command_->kind == AdminCommand::Kind::grow || workers_.size() == forks_))
    end_admin_command();
  else if (due)
    fail_admin_command(now, Verdict::timed_out,
                       "not every slot has a worker that is ready: see `liveswap status`");
}

// The slots beyond `forks` serve until no connection is steered to them, then they drain.
void Engine::advance_shrink(Time now, bool due) {
  if (due) {
    admin_command_->deadline.reset();
    for (auto& [id, worker] : workers_)
      if (worker.slot >= forks_ && active(worker)) drain_worker(now, worker);
  }
  if (admin_command_->deadline || vanishing()) return;
  close_slots();
  if (admin_command_->verdict == Verdict::ok) admin_command_->text = shrunk_text();
  end_admin_command();
}

std::string Engine::shrunk_text() const {
  return std::to_string(forks_) + (forks_ == 1 ? " worker is left" : " workers are left");
}

void Engine::close_slots() {
  slots_.resize(forks_);
  see_all();
  out_.push_back(CloseSlots{forks_});
}

// A grow is undone if the new slots do not become ready.
void Engine::fail_admin_command(Time now, Verdict verdict, const std::string& text) {
  admin_command_->verdict = verdict;
  admin_command_->text = text;
  if (admin_command_->kind != AdminCommand::Kind::grow || admin_command_->forks_before == forks_) {
    end_admin_command();
    return;
  }
  admin_command_->kind = AdminCommand::Kind::shrink;
  admin_command_->deadline = now + settings_.unsteer;
  forks_ = admin_command_->forks_before;
  see_all();
  out_.push_back(Steer{forks_});
  if (settings_.unsteer == Time{0}) advance_shrink(now, true);
}

void Engine::abandon_admin_command(const std::string& why) {
  admin_command_->verdict = Verdict::failed;
  admin_command_->text = why;
  end_admin_command();
}

void Engine::end_admin_command() {
  out_.push_back(Answer{admin_command_->request, admin_command_->verdict, admin_command_->text});
  admin_command_.reset();
}

Commands Engine::stop(Time now, RequestId request, bool at_once) {
  begin_stop(at_once, true, "");
  stopping_->requests.push_back(request);
  return done(now);
}

// Answers all pending requests as failed.
void Engine::begin_stop(bool at_once, bool ok, const std::string& text) {
  const std::string why = "the master was told to stop";
  if (upgrade_) {
    if (upgrade_->phase == Phase::preparing) out_.push_back(CancelPrepare{});
    out_.push_back(Answer{upgrade_->request, Verdict::failed, why});
    for (const RequestId request : upgrade_->aborts) out_.push_back(Answer{request, Verdict::failed, why});
    upgrade_.reset();
  }
  if (const auto queued = std::exchange(queue_, std::nullopt))
    out_.push_back(Answer{queued->id, Verdict::failed, why});
  if (admin_command_) abandon_admin_command(why);
  if (!stopping_) stopping_ = Stopping{at_once, ok, text, {}};
  stopping_->at_once |= at_once;
  stopping_->is_told = false;
  for (Slot& slot : slots_) slot.respawn_at.reset();
  see_all();
  replace_at_.reset();
}

}  // namespace liveswap::rollout
