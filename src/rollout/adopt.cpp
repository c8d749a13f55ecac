#include <algorithm>
#include <utility>

#include "rollout/engine.hpp"

// An engine that goes on where another one has stopped: from facts, not from the state of a procedure.
namespace liveswap::rollout {

std::optional<std::string> Engine::unrest() const {
  if (auto why = is_emptying() ? std::nullopt : under_way()) return why;
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
  Facts facts;
  facts.release = committed_->release;
  facts.generation = committed_->generation;
  facts.last_generation = last_generation_;
  facts.last_worker = last_worker_;
  facts.forks = forks_;
  for (const Slot& slot : slots_)
    facts.slots.push_back({slot.restarts, slot.deaths, slot.respawn_at, slot.turn});
  for (const auto& [id, worker] : workers_) facts.workers.push_back(worker);
  if (upgrade_ && upgrade_->phase != Phase::preparing)
    facts.unfinished = {upgrade_->request, upgrade_->to.release, upgrade_->to.generation,
                        upgrade_->pace.flip};
  for (const PendingAnswer& one : pending_answers_) {
    const Answer& first = one.answers.front();
    facts.decided.push_back(
        {first.request, first.verdict, first.text, {one.workers.begin(), one.workers.end()}});
  }
  return facts;
}

Engine::Facts as_head_says(Engine::Facts facts, const Release& head) {
  if (!facts.unfinished || facts.unfinished->release != head || facts.release == head) return facts;
  const UnfinishedUpgrade done = *std::exchange(facts.unfinished, std::nullopt);
  facts.release = done.release;
  facts.generation = done.generation;
  for (auto& slot : facts.slots) slot.turn = false;
  facts.decided.push_back({done.request,
                           Verdict::ok,
                           "generation " + std::to_string(done.generation) +
                               " is committed; the master was killed at that moment",
                           {}});
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
    turned_.push_back(worker.id);
  }
  see_all();
  adopt_starting(now);
  for (const DecidedUpgrade& one : facts.decided) adopt_answer(one);
  if (facts.unfinished) fail_unfinished(now, *facts.unfinished);
  return done(now);
}

// A worker of the committed generation, which is alone in its slot. The successor of a hung worker is not.
bool Engine::goes_on_starting(const Worker& worker) const {
  if (worker.staged || worker.generation != committed_->generation) return false;
  const auto& of_slot = slots_[worker.slot].workers;
  return std::none_of(of_slot.begin(), of_slot.end(), [&](WorkerId id) {
    const Worker& other = workers_.at(id);
    return id != worker.id && active(other) && other.generation == worker.generation;
  });
}

// What a starting worker has said last may have been lost with its master: it may be loading its code, or
// serve already. So from now on it counts as one that has entered liveswap_main, which is drained, not
// killed. The ready limit of one that goes on begins anew, since nobody has read what it says. The slot of
// one that is given up gets another worker; its predecessor, if there is one, has not been told to drain.
void Engine::adopt_starting(Time now) {
  for (auto& [id, worker] : workers_) {
    if (worker.state != WorkerState::starting) continue;
    worker.entered = true;
    if (goes_on_starting(worker)) worker.deadline = now + settings_.ready_limit;
    else drain_worker(now, worker);
    see(worker.slot);
  }
}

void Engine::adopt_answer(const DecidedUpgrade& one) {
  PendingAnswer pending{{Answer{one.request, one.verdict, one.text}}, {}, 0, {}};
  for (const WorkerId id : one.workers)
    if (workers_.contains(id)) pending.workers.insert(id);
  if (pending.workers.empty()) answer(std::move(pending));
  else pending_answers_.push_back(std::move(pending));
}

// The requester has lost its connection with the master, and sees no outcome; so the upgrade does not go on
// unseen, but reverts as after any other failure before the commit. If old workers are staged, all
// connections already go to the new ones, and flipped() is still to come.
void Engine::fail_unfinished(Time now, const UnfinishedUpgrade& unfinished) {
  upgrade_ = Upgrade{};
  upgrade_->request = unfinished.request;
  upgrade_->asked = unfinished.release.path;
  upgrade_->pace = settings_;
  upgrade_->pace.flip = unfinished.flip;
  upgrade_->to = {unfinished.generation, unfinished.release, 0};
  const bool flips = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Worker& worker = entry.second;
    return worker.staged && active(worker) && worker.generation != unfinished.generation;
  });
  if (flips) upgrade_->phase = Phase::flipping;
  see_all();
  fail_upgrade(now, "the master was killed during the upgrade");
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
