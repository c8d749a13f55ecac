#include "rules.hpp"

#include <algorithm>

namespace liveswap::rollout {

Rules::Rules(const Settings& settings, const Engine& engine, bool peaceful)
    : settings_(settings), engine_(engine), peaceful_(peaceful), forks_before_(settings.forks) {}

void Rules::wished(Time now, Wish wish, RequestId request) {
  wish_ = wish;
  request_ = request;
  if (request == 0) return;
  Open open{wish, {}};
  if (wish == Wish::kill) open.due = now + 2 * settings_.term_grace + settings_.ready_limit;
  // Who is killed leaves a little later.
  const Time force = 2 * settings_.term_grace + Time{5};
  if (wish == Wish::stop && settings_.drain_limit)
    open.due = now + *settings_.drain_limit + force + settings_.term_grace;
  if (wish == Wish::die) open.due = now + force;
  open_.emplace(request, open);
}

void Rules::entered(Time now, WorkerId worker, bool deferred) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  it->second.entered = now;
  it->second.deferred = deferred;
}

void Rules::deferred(WorkerId worker) {
  if (const auto it = workers_.find(worker); it != workers_.end()) it->second.deferred = true;
}

void Rules::said_ready(WorkerId worker) {
  if (const auto it = workers_.find(worker); it != workers_.end()) it->second.said_ready = true;
}

void Rules::exited(WorkerId worker) { workers_.erase(worker); }

unsigned Rules::surge(unsigned forks) const {
  if (!settings_.surge.percent) return settings_.surge.value;
  return (forks * settings_.surge.value + 99) / 100;
}

void Rules::judge_books() {
  const auto& theirs = engine_.workers();
  demand(theirs.size() == workers_.size(), "the engine knows every worker that is alive, and no other");
  auto known = workers_.begin();
  for (const auto& [id, worker] : theirs) {
    demand(id == known->first, "the engine knows every worker that is alive, and no other");
    judge_worker(known->second, worker);
    known->second.ready |= worker.state == WorkerState::ready;
    ++known;
  }
  judge_release();
  judge_deadlines();
  if (!stopping_) {
    judge_capacity();
    judge_batch();
  }
  forks_before_ = engine_.fork_count();
  state_before_ = engine_.state();
  if (state_before_ != "upgrading" && state_before_ != "reverting") upgrade_ = 0;
  errand_before_ = std::any_of(open_.begin(), open_.end(), [](const auto& entry) {
    return entry.second.wish == Wish::kill || entry.second.wish == Wish::forks;
  });
}

void Rules::judge_worker(const Known& known, const Engine::Worker& worker) const {
  demand(known.slot == worker.slot && known.generation == worker.generation,
         "a worker keeps its slot and generation");
  demand(known.told == (worker.state == WorkerState::draining),
         "who leaves was told to, and who was told leaves");
  demand(!known.told || known.step == DrainStep::killed || known.step == DrainStep::asked || known.next_step,
         "force goes on until it is over");
  if (known.told) return;
  if (worker.state == WorkerState::starting)
    demand(!known.ready && (cause_ != Cause::tick || now_ < known.spawned + settings_.ready_limit),
           "nobody starts for longer than the ready limit");
  if (worker.state == WorkerState::ready && !known.ready)
    demand(
        known.said_ready || (known.entered && !known.deferred && now_ >= *known.entered + settings_.settle),
        "ready is who says so, or has settled");
}

// Whatever is upgraded to, and however that fails: every slot has a worker that serves it.
void Rules::judge_capacity() const {
  if (!booted_ || !peaceful_ || !settings_.zero_downtime || surge(engine_.fork_count()) == 0) return;
  for (unsigned slot = 0; slot < engine_.fork_count(); ++slot)
    demand(std::any_of(engine_.workers().begin(), engine_.workers().end(),
                       [&](const auto& entry) {
                         return entry.second.slot == slot && entry.second.state == WorkerState::ready;
                       }),
           "the capacity never falls below forks");
}

void Rules::judge_batch() const {
  const std::string state = engine_.state();
  if (!settings_.zero_downtime || (state != "upgrading" && state != "reverting")) return;
  std::set<unsigned> slots;
  for (const auto& [id, worker] : engine_.workers()) {
    if (worker.state != WorkerState::starting) continue;
    const bool successor =
        state == "upgrading"
            ? worker.generation > engine_.generation()
            : std::any_of(engine_.workers().begin(), engine_.workers().end(), [&](const auto& entry) {
                return entry.second.slot == worker.slot && entry.second.generation > engine_.generation() &&
                       entry.second.state == WorkerState::ready;
              });
    if (successor) slots.insert(worker.slot);
  }
  demand(slots.size() <= settings_.batch, "there are never more than batch successors starting");
}

void Rules::judge_release() {
  demand(engine_.generation() >= generation_, "the generation grows");
  const bool changed = engine_.generation() != generation_ || engine_.release() != release_;
  demand(changed == (cause_ == Cause::committed), "the release changes with a commit and only with it");
  generation_ = engine_.generation();
  release_ = engine_.release();
}

void Rules::judge_deadlines() const {
  const auto next = engine_.next_deadline();
  demand(!quit_ || !next, "who has quit waits for nothing");
  demand(!next || *next >= now_, "no deadline is forgotten");
  demand(cause_ != Cause::tick || !next || *next > now_, "a tick does all that is due");
  for (const auto& [id, open] : open_) demand(!open.due || *open.due >= now_, "an answer comes in its time");
}

void Rules::judge_rest() const {
  demand(open_.empty(), "everybody gets an answer");
  demand(std::string(engine_.state()) == "running", "everything comes to its end");
  demand(workers_.size() == engine_.fork_count(), "at rest there are as many workers as slots");
  std::set<unsigned> slots;
  for (const auto& [id, worker] : engine_.workers()) {
    demand(worker.state == WorkerState::ready, "at rest everybody is ready");
    demand(worker.generation == engine_.generation() && worker.release == engine_.release(),
           "at rest every slot serves the committed release");
    slots.insert(worker.slot);
  }
  demand(slots.size() == engine_.fork_count() && *slots.rbegin() + 1 == engine_.fork_count(),
         "at rest every slot is served");
  demand(!engine_.next_deadline(), "at rest there is nothing to wait for");
}

}  // namespace liveswap::rollout
