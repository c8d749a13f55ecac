#include "rules.hpp"

#include <algorithm>

#include "rollout/judge.hpp"

namespace liveswap::rollout {

Rules::Rules(const Settings& settings, const Engine& engine, bool peaceful)
    : settings_(settings), engine_(engine), peaceful_(peaceful), forks_before_(settings.forks) {}

void Rules::judge(Time now, Cause cause, const Commands& commands) {
  now_ = now;
  // A rollback counts as committed even if its record could not be written.
  const bool unrecorded = cause == Cause::commit_failed && course_ && course_->wish.overtake && booted_;
  cause_ = unrecorded ? Cause::committed : cause;
  demand(!quit_ || commands.empty(), "after quitting there is silence");
  if (cause_ == Cause::prepared || cause_ == Cause::prepare_failed) preparing_ = false;
  if (cause_ == Cause::committed && course_) succeeded_.insert(course_->request);
  if (cause_ == Cause::commit_failed && course_) course_->doomed = true;
  if (std::string(engine_.state()) == "stopping") {
    stopping_ = true;
    course_.reset();
    queued_ = 0;
  }
  for (const Command& command : commands) std::visit([&](const auto& one) { order(one); }, command);
  demand(just_hung_ == 0, "a worker that hangs is told");
  judge_books();
  wish_.reset();
  request_ = 0;
  probe_counts_ = false;
}

bool Rules::errand_open() const {
  return std::any_of(open_.begin(), open_.end(), [](const auto& entry) {
    return entry.second.kind == Kind::kill || entry.second.kind == Kind::forks;
  });
}

bool Rules::errand_bars() const {
  return std::any_of(open_.begin(), open_.end(), [](const auto& entry) {
    return entry.second.kind == Kind::kill || (entry.second.kind == Kind::forks && !entry.second.shrinks);
  });
}

// Who follows the workers' states looks only at those that the engine names.
void Rules::judge_turned() {
  const auto& turned = engine_.turned();
  const std::set<WorkerId> named(turned.begin(), turned.end());
  for (const auto& [id, worker] : engine_.workers()) {
    const auto before = std::exchange(states_[id], worker.state);
    demand(before == worker.state || named.contains(id), "a worker whose state has changed is named");
  }
}

void Rules::judge_books() {
  demand(engine_.overview() == engine_.overview_anew(), "what is known of the slots is what is there");
  judge_turned();
  const auto& theirs = engine_.workers();
  demand(theirs.size() == workers_.size(), "the engine knows every worker that is alive, and no other");
  auto known = workers_.begin();
  for (const auto& [id, worker] : theirs) {
    demand(id == known->first, "the engine knows every worker that is alive, and no other");
    judge_worker(known->second, worker);
    ++known;
  }
  for (auto& [id, worker] : workers_) worker.held_up |= worker.told && holds_up_way_back(worker);
  judge_release();
  judge_deadlines();
  if (!stopping_) {
    judge_capacity();
    judge_draining();
    judge_progress();
    judge_batch();
    judge_course();
    judge_mix();
  }
  forks_before_ = engine_.fork_count();
  state_before_ = engine_.state();
  phase_before_ = engine_.phase();
  errand_before_ = errand_open();
  errand_barred_ = errand_bars();
}

void Rules::judge_worker(const Known& known, const Engine::Worker& worker) const {
  demand(known.slot == worker.slot && known.generation == worker.generation,
         "a worker keeps its slot and generation");
  demand(known.told == (worker.state == WorkerState::draining),
         "who leaves was told to, and who was told leaves");
  demand(!known.told || known.step == DrainStep::killed || known.step == DrainStep::asked || known.next_step,
         "force goes on until it is over");
  if (known.told) return;
  demand(!known.returned, "who has returned is sent away");
  demand(known.staged == worker.staged, "who is apart is known");
  demand(known.hung == worker.liveness.is_hung, "the engine knows the workers that hang");
  demand(known.ready == (worker.state == WorkerState::ready), "who becomes ready is noted");
  if (worker.state == WorkerState::starting)
    demand((cause_ != Cause::tick || now_ < known.spawned + settings_.ready_limit),
           "nobody starts for longer than the ready limit");
}

// Every slot has a worker that serves, whatever the upgrade, and however it fails.
void Rules::judge_capacity() const {
  if (!booted_ || !peaceful_ || !settings_.zero_downtime) return;
  std::set<unsigned> slots;
  for (const auto& [id, worker] : workers_)
    if (serves(worker)) slots.insert(worker.slot);
  demand(slots.size() >= engine_.fork_count(), "the capacity never falls below forks");
}

void Rules::judge_draining() const {
  demand(asked_to_drain() <= most_draining(), "of those that drain, those beyond the limit are being ended");
}

// Draining workers delay nothing: a rollback begins at once, and in each slot without a successor one is
// starting.
void Rules::judge_progress() const {
  const std::string phase = engine_.phase();
  if (wish_ == Kind::upgrade && open_.count(request_) && open_.at(request_).wish.overtake)
    demand((course_ && course_->request == request_) || phase == "flipping" || phase == "committing",
           "a rollback waits for nobody");
  if (!booted_ || !course_ || !course_->rolling || course_->trial ||
      (phase != "rolling" && phase != "reverting"))
    return;
  if (settings_.max_memory > 0 && !way_back()) return;  // draining workers use memory, too
  const Generation goal = course_->reverting ? generation_ : course_->to;
  std::set<unsigned> waiting, moving;
  for (unsigned slot = 0; slot < engine_.fork_count(); ++slot) waiting.insert(slot);
  for (const auto& [id, worker] : workers_) {
    const auto end = engine_.workers().at(id).deadline;
    const bool soon = worker.step == DrainStep::killed || (end && *end <= now_ + Time{200});
    const bool leaves = worker.told && surge() == 0 && (soon || !way_back());
    if (worker.generation == goal && serves(worker)) waiting.erase(worker.slot);
    if (leaves || (!worker.told && !worker.ready)) moving.insert(worker.slot);
  }
  for (const unsigned slot : waiting)
    if (engine_.slots()[slot].respawn_at) moving.insert(slot);
  demand(waiting.empty() || !moving.empty(), "no roll is held up by workers that drain");
}

void Rules::judge_batch() const {
  if (!settings_.zero_downtime || !course_) return;
  std::set<unsigned> slots;
  for (const auto& [id, worker] : engine_.workers()) {
    if (worker.state != WorkerState::starting) continue;
    const auto failed_beside = [&](const auto& entry) {
      return entry.second.slot == worker.slot && entry.second.generation > generation_ &&
             entry.second.state == WorkerState::ready;
    };
    const bool successor = course_->reverting ? id > course_->last_before_revert &&
                                                    std::any_of(engine_.workers().begin(),
                                                                engine_.workers().end(), failed_beside)
                                              : worker.generation > generation_;
    if (successor && booted_) slots.insert(worker.slot);
  }
  // After a flip, a revert starts all workers at once.
  const bool back_from_flip = course_->reverting && course_->pace().flip;
  const unsigned by_default = std::max(engine_.fork_count() / 4, 1U);
  demand(back_from_flip || slots.size() <= course_->pace().batch.value_or(by_default),
         "there are never more than batch successors starting");
}

void Rules::judge_release() {
  demand(engine_.generation() >= generation_, "the generation grows");
  const bool changed = engine_.generation() != generation_ || engine_.release().id != release_;
  demand(!changed || cause_ == Cause::committed, "the release changes with a commit and only with it");
  generation_ = engine_.generation();
  release_ = engine_.release().id;
}

void Rules::judge_deadlines() const {
  const auto next = engine_.next_deadline();
  demand(!quit_ || !next, "who has quit waits for nothing");
  demand(!next || *next >= now_, "no deadline is forgotten");
  demand(cause_ != Cause::tick || !next || *next > now_, "a tick does all that is due");
  for (const auto& [id, open] : open_) demand(!open.due || *open.due >= now_, "an answer comes in its time");
  demand(queued_ == 0 || engine_.under_way(), "who is queued begins as soon as nothing is in the way");
  demand(engine_.queued().has_value() == (queued_ != 0), "who is queued is known");
}

void Rules::judge_rest() const {
  demand(open_.empty(), "everybody gets an answer");
  demand(std::string(engine_.state()) == "running" && !course_, "everything comes to its end");
  demand(workers_.size() == engine_.fork_count(), "at rest there are as many workers as slots");
  std::set<unsigned> slots;
  for (const auto& [id, worker] : engine_.workers()) {
    demand(worker.state == WorkerState::ready && !worker.staged && !worker.liveness.is_hung,
           "at rest everybody serves");
    demand(worker.generation == engine_.generation() && worker.release == engine_.release(),
           "at rest every slot serves the committed release");
    slots.insert(worker.slot);
  }
  demand(slots.size() == engine_.fork_count() && *slots.rbegin() + 1 == engine_.fork_count(),
         "at rest every slot is served");
  demand(!engine_.next_deadline(), "at rest there is nothing to wait for");
}

}  // namespace liveswap::rollout
