#include <algorithm>

#include "base/text.hpp"
#include "rollout/draining.hpp"
#include "rollout/engine.hpp"

namespace liveswap::rollout {
namespace {

// The drain limit of a worker that never became ready, for connections that it may have accepted.
constexpr Time unproven_drain_limit{5'000};

// Limits the text about workers that exit before the upgrade is decided, since the answer is one line.
constexpr std::size_t remarks_limit = 1'000;

// Many programs end by SIGTERM's default action: their handler cleans up, sets SIG_DFL and raises the
// signal again (Node.js, puma, PHP). The worker host sends SIGTERM to a draining application that has
// nothing open. So this death is clean if no connection was open; otherwise another process sent the signal
// and cut connections.
Parting parting_of(const Engine::Worker& worker, const Departure& departure) {
  if (worker.step > DrainStep::asked) return Parting::forced;
  const bool as_asked = worker.state == WorkerState::draining && departure.by_sigterm && departure.drained;
  return departure.clean || as_asked ? Parting::clean : Parting::crashed;
}

// Connections of other processes that were cut by force: liveswap could neither end nor hand them off.
std::uint64_t cut_elsewhere(const Engine::Worker& worker, const Departure& departure,
                            const Settings& settings) {
  const bool by_force = worker.state == WorkerState::draining && worker.was_ready &&
                        parting_of(worker, departure) == Parting::forced && settings.zero_downtime;
  return by_force ? departure.elsewhere : 0;
}

// What became of a worker that did not end cleanly; empty if it did.
std::string fate_of(const Engine::Worker& worker, const Departure& departure, const Settings& settings) {
  const bool drained = worker.state == WorkerState::draining;
  const Parting parting = parting_of(worker, departure);
  const std::string name = "the worker of generation " + std::to_string(worker.generation) + " in slot " +
                           std::to_string(worker.slot);
  if (!drained || parting == Parting::crashed)
    return name + " died while it drained (" + departure.text + ")";
  if (worker.was_ready && parting == Parting::forced && settings.zero_downtime)
    return name + (worker.why_forced.empty() ? "" : " " + worker.why_forced + " and") +
           " was ended by force (" + departure.text + ")" +
           (departure.elsewhere == 0 ? ""
                                     : ", which cut " + plural(departure.elsewhere, "connection") +
                                           " of processes that it had started");
  return "";
}

std::string awaited_by(const Engine::Worker& worker) {
  return worker.was_ready || worker.awaits.text.empty() ? "" : "; " + worker.awaits.text;
}

std::string advice_for(const Engine::Worker& worker) {
  return worker.awaits.advice.empty() ? "" : ": " + worker.awaits.advice;
}

}  // namespace

Commands Engine::entered(Time now, WorkerId id, bool deferred) {
  const auto it = workers_.find(id);
  if (it != workers_.end()) {
    it->second.entered = true;
    if (it->second.state == WorkerState::starting && !deferred) {
      it->second.settle_at = now + settings_.settle;
      see(it->second.slot);
      if (settings_.settle == Time{0}) become_ready(now, it->second);
    }
  }
  return done(now);
}

Commands Engine::deferred(Time now, WorkerId id) {
  if (const auto it = workers_.find(id); it != workers_.end()) {
    it->second.settle_at.reset();
    see(it->second.slot);
  }
  return done(now);
}

Commands Engine::ready(Time now, WorkerId id) {
  const auto it = workers_.find(id);
  if (it != workers_.end() && it->second.state == WorkerState::starting) become_ready(now, it->second);
  return done(now);
}

Commands Engine::seen_ready(Time now, WorkerId id) {
  const auto it = workers_.find(id);
  if (it != workers_.end() && it->second.state == WorkerState::starting)
    it->second.proven_at = it->second.settle_at;
  return ready(now, id);
}

Commands Engine::awaits(Time now, WorkerId id, const Awaits& awaits) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return {};
  const bool is_change = it->second.awaits.only_time != awaits.only_time;
  it->second.awaits = awaits;
  if (!is_change) return {};
  see(it->second.slot);
  return done(now);  // another worker may start
}

Commands Engine::dropped(Time now, WorkerId id, const std::string& listener) {
  if (const auto it = workers_.find(id); it != workers_.end())
    note(NoteKind::dropped, it->second, now, listener);
  return done(now);
}

void Engine::turn(Worker& worker, WorkerState state) {
  if (worker.state != state) turned_.push_back(worker.id);
  worker.state = state;
}

// The slot's old worker drains only now that the new worker is ready. While an upgrade rolls, a respawned
// worker of the committed release drains the slot's workers of earlier failed generations, but not those of
// the upgrade.
void Engine::become_ready(Time now, Worker& worker) {
  turn(worker, WorkerState::ready);
  worker.was_ready = true;
  worker.settle_at.reset();
  worker.deadline.reset();
  see(worker.slot);
  note(NoteKind::ready, worker, now);
  ask_memory();
  if (goal() && !worker.staged) drain_slot(now, worker.slot, worker.generation);
  if (worker.replaces != 0) end_replaced(now, worker);
}

// Drains the workers that this generation replaces.
void Engine::drain_slot(Time now, unsigned slot, Generation generation) {
  for (const WorkerId id : std::vector<WorkerId>(slots_[slot].workers)) {
    Worker& other = workers_.at(id);
    if (active(other) && other.generation != generation && other.generation != goal()->generation)
      drain_worker(now, other);
  }
}

// A worker that has not entered liveswap_main holds nothing and is killed.
void Engine::drain_worker(Time now, Worker& worker) {
  if (worker.liveness.is_hung) worker.why_forced = "hung";
  if (!worker.entered || worker.liveness.is_hung) force(now, worker, DrainStep::killed);
  else if (worker.state == WorkerState::ready) drain(now, worker, drain_limit());
  else
    drain(now, worker, std::min(settings_.drain_limit.value_or(unproven_drain_limit), unproven_drain_limit));
}

// If a slot waits for its worker to exit, a revert or rollback allows only a short limit.
std::optional<Time> Engine::drain_limit() const {
  if (!way_back() || surge() > 0) return settings_.drain_limit;
  return std::min(settings_.drain_limit.value_or(hurried_step), hurried_step);
}

void Engine::drain(Time now, Worker& worker, std::optional<Time> limit) {
  turn(worker, WorkerState::draining);
  worker.step = DrainStep::asked;
  worker.drain_since = now;
  worker.settle_at.reset();
  worker.deadline.reset();
  if (limit) worker.deadline = now + *limit;
  see(worker.slot);
  out_.push_back(Drain{worker.id, limit});
  note(NoteKind::draining, worker, now);
}

// Takes the worker to a step of force; the next step follows by its deadline.
void Engine::force(Time now, Worker& worker, DrainStep step) {
  if (active(worker)) worker.drain_since = now;
  turn(worker, WorkerState::draining);
  worker.step = step;
  worker.settle_at.reset();
  worker.deadline =
      now + (worker.hurried ? std::min(settings_.term_grace, hurried_step) : settings_.term_grace);
  switch (step) {
    case DrainStep::asked: break;
    case DrainStep::revoked:
      out_.push_back(Revoke{worker.id});
      note(NoteKind::forced, worker, now, "it " + worker.why_forced);
      break;
    case DrainStep::termed: out_.push_back(Signal{worker.id, false}); break;
    case DrainStep::killed:
      out_.push_back(Signal{worker.id, true});
      worker.deadline.reset();  // only the reaping is left
      break;
  }
  see(worker.slot);
}

// `why`: the reason for using force; only the first step stores it.
void Engine::next_step(Time now, Worker& worker, const std::string& why) {
  if (worker.step == DrainStep::asked) worker.why_forced = why;
  switch (worker.step) {
    case DrainStep::asked: force(now, worker, DrainStep::revoked); break;
    case DrainStep::revoked: force(now, worker, DrainStep::termed); break;
    case DrainStep::termed: force(now, worker, DrainStep::killed); break;
    case DrainStep::killed: break;
  }
}

void Engine::worker_deadline(Time now, Worker& worker) {
  if (worker.state == WorkerState::draining && worker.deadline && *worker.deadline <= now) {
    next_step(now, worker, worker.hurried ? hurried_in_words : "did not drain within its limit");
  } else if (worker.settle_at && *worker.settle_at <= now) {
    become_ready(now, worker);
  } else if (worker.state == WorkerState::starting && worker.deadline && *worker.deadline <= now) {
    const Worker before = worker;
    worker.failed = true;
    drain_worker(now, worker);
    died(now, before,
         "stage ready: it was not ready within " + std::to_string(settings_.ready_limit.count()) + " ms" +
             awaited_by(before) + advice_for(before));
  }
}

Commands Engine::returned(Time now, WorkerId id, const std::string& text) {
  return failed_alive(now, id, text,
                      std::min(settings_.drain_limit.value_or(unproven_drain_limit), unproven_drain_limit));
}

Commands Engine::stopped_serving(Time now, WorkerId id, const std::string& text) {
  return failed_alive(now, id, text, settings_.drain_limit);
}

Commands Engine::failed_alive(Time now, WorkerId id, const std::string& text,
                              std::optional<Time> drain_limit) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || !active(it->second)) return done(now);
  const Worker before = it->second;
  it->second.failed = true;
  drain(now, it->second, drain_limit);
  died(now, before,
       std::string(before.was_ready ? "stage run: " : "stage start: ") + text + awaited_by(before));
  return done(now);
}

Commands Engine::exited(Time now, WorkerId id, const Departure& departure) {
  const auto it = workers_.find(id);
  if (it == workers_.end()) return done(now);
  const Worker worker = it->second;
  note(NoteKind::gone, worker, now, departure.text);
  std::get<Note>(out_.back()).parting = parting_of(worker, departure);
  workers_.erase(it);
  memory_.erase(id);
  auto& of_slot = slots_[worker.slot].workers;
  of_slot.erase(std::find(of_slot.begin(), of_slot.end(), id));
  see(worker.slot);
  record_departure(worker, departure);
  if (active(worker)) {
    const std::string stage = worker.was_ready ? "run" : worker.entered ? "start" : departure.stage;
    died(now, worker, "stage " + stage + ": " + departure.text + (worker.entered ? awaited_by(worker) : ""));
  }
  return done(now);
}

// A stopped worker is not replaced: somebody looks at it with a debugger, or continues it in a moment.
Commands Engine::stopped(Time now, WorkerId id, bool is_stopped) {
  const auto it = workers_.find(id);
  if (it == workers_.end() || it->second.stopped_since.has_value() == is_stopped) return done(now);
  it->second.stopped_since = is_stopped ? std::optional(now) : std::nullopt;
  see(it->second.slot);
  note(is_stopped ? NoteKind::stopped : NoteKind::continued, it->second, now);
  return done(now);
}

// Call when a worker has failed or exited without being told to. In the generation that is rolled out: the
// upgrade fails. In the committed generation: the slot respawns, with a backoff if its workers keep dying.
void Engine::died(Time now, const Worker& worker, const std::string& reason) {
  const std::string text = "slot " + std::to_string(worker.slot) + ", " + reason;
  note(NoteKind::failed, worker, now, text);
  if (stopping_ || worker.slot >= forks_) return;
  if (rolling() && worker.generation == upgrade_->to.generation) {
    fail_upgrade(now, text);
    return;
  }
  const bool replaces = committed_ && worker.generation == committed_->generation;
  if (!replaces) return;  // of a failed generation: the revert fills the slot
  if (admin_command_ && admin_command_->kind == AdminCommand::Kind::grow &&
      worker.slot >= admin_command_->forks_before) {
    fail_admin_command(now, Verdict::failed, text);
    return;
  }
  ++slots_[worker.slot].restarts;
  schedule_respawn(now, slots_[worker.slot], now - worker.spawned);
  see(worker.slot);
}

// The first death in a row is replaced at once; each further one after twice the delay, ± 25 % of jitter so
// that slots with the same cause do not die in step.
void Engine::schedule_respawn(Time now, Slot& slot, Time lived) {
  if (lived >= settings_.backoff_reset) slot.deaths = 0;
  ++slot.deaths;
  if (slot.deaths == 1) return;
  Time delay = settings_.backoff_min;
  for (unsigned i = 2; i < slot.deaths && delay < settings_.backoff_max; ++i) delay *= 2;
  delay = std::min(delay, settings_.backoff_max);
  std::uniform_int_distribution<Time::rep> jitter(-delay.count() / 4, delay.count() / 4);
  slot.respawn_at = now + std::max(Time{1}, delay + Time{jitter(random_)});
}

void Engine::record_departure(const Worker& worker, const Departure& departure) {
  const auto it =
      std::find_if(pending_answers_.begin(), pending_answers_.end(),
                   [&](const PendingAnswer& pending) { return pending.workers.count(worker.id) > 0; });
  if (it == pending_answers_.end()) {
    // The worker exited before the upgrade was decided: keep its fate for the answer.
    if (upgrade_ && cut_elsewhere(worker, departure, settings_) > 0) upgrade_->cuts = true;
    const std::string fate =
        upgrade_ && !worker.failed && !active(worker) ? fate_of(worker, departure, settings_) : "";
    if (!fate.empty() && upgrade_->remark.size() < remarks_limit)
      upgrade_->remark += (upgrade_->remark.empty() ? "" : "; ") + fate;
    return;
  }
  it->workers.erase(worker.id);
  Verdict& verdict = it->answers.front().verdict;
  if (verdict == Verdict::ok && cut_elsewhere(worker, departure, settings_) > 0) verdict = Verdict::cut;
  if (!worker.failed) tell_fate(*it, worker, departure);
  if (!it->workers.empty()) return;
  const PendingAnswer over = std::move(*it);
  pending_answers_.erase(it);
  answer(over);
}

// Adds to the answer how the worker ended; for the first few workers only, since the answer is one line.
void Engine::tell_fate(PendingAnswer& pending, const Worker& worker, const Departure& departure) {
  constexpr unsigned told_at_most = 8;
  const std::string fate = fate_of(worker, departure, settings_);
  if (fate.empty()) return;
  ++pending.told;
  if (pending.told <= told_at_most) pending.answers.front().text += "; " + fate;
  if (pending.told == told_at_most + 1) pending.answers.front().text += "; and others";
}

}  // namespace liveswap::rollout
