#include <algorithm>

#include "rules.hpp"

namespace liveswap::rollout {

Rules::Known& Rules::known(WorkerId worker) {
  const auto it = workers_.find(worker);
  demand(it != workers_.end(), "an order is for a worker that is alive");
  return it->second;
}

void Rules::order(const Spawn& spawn) {
  demand(!stopping_, "nobody is spawned while stopping");
  demand(spawn.worker > last_worker_, "no id is given twice");
  last_worker_ = spawn.worker;
  const unsigned forks = std::max(forks_before_, engine_.fork_count());
  demand(spawn.slot < forks, "a worker is for a slot that exists");
  const unsigned limit =
      std::max(forks_before_ + surge(forks_before_), engine_.fork_count() + surge(engine_.fork_count()));
  demand(workers_.size() < limit, "there are never more workers than forks + surge");
  const std::string& release = releases_.emplace(spawn.generation, spawn.release).first->second;
  demand(release == spawn.release, "a generation has one release");
  demand(spawn.generation == releases_.rbegin()->first || spawn.generation == engine_.generation(),
         "only the newest generation and the committed one are spawned");
  const std::string state = engine_.state();
  if (state != "upgrading" && state != "starting")
    demand(spawn.generation == engine_.generation() && spawn.release == engine_.release(),
           "a respawn runs the committed release");
  for (const auto& [id, worker] : workers_) {
    if (worker.slot != spawn.slot || worker.told) continue;
    demand(worker.generation != spawn.generation, "a slot has one worker of a generation");
    const bool starts = engine_.workers().at(id).state == WorkerState::starting;
    demand(spawn.generation != engine_.generation() || worker.generation <= failed_ || starts,
           "the committed release takes the place of failed ones, or stands in for one that starts");
    demand(settings_.zero_downtime && surge(engine_.fork_count()) > 0,
           "the old leaves first where that is asked for");
  }
  Known worker;
  worker.slot = spawn.slot;
  worker.generation = spawn.generation;
  worker.spawned = now_;
  workers_.emplace(spawn.worker, worker);
}

// Force without a drain, or before its limit, is for those who asked for it.
bool Rules::force_allowed() const {
  return wish_ == Wish::kill || wish_ == Wish::die || (wish_ == Wish::stop && state_before_ == "stopping") ||
         !settings_.zero_downtime;
}

void Rules::step(WorkerId id, DrainStep step, std::optional<Time> next) {
  Known& worker = known(id);
  if (!worker.told && !hook_runs_) worker.told_in = upgrade_;
  if (!worker.told && worker.ready && !stopping_ && !force_allowed() && surge(engine_.fork_count()) > 0 &&
      worker.slot < engine_.fork_count()) {
    const auto& all = engine_.workers();
    demand(std::any_of(all.begin(), all.end(),
                       [&](const auto& entry) {
                         return entry.first != id && entry.second.slot == worker.slot &&
                                entry.second.state == WorkerState::ready;
                       }),
           "the only ready worker of a slot is left alone");
  }
  worker.told = true;
  worker.step = step;
  worker.next_step = next;
}

void Rules::order(const Drain& drain) {
  const Known& worker = known(drain.worker);
  demand(!worker.told, "a worker is told to drain once");
  demand(worker.entered.has_value(), "who has not entered holds nothing that could drain");
  if (worker.ready)
    demand(drain.limit == settings_.drain_limit, "a proven worker has the drain limit");
  else
    demand(drain.limit && *drain.limit <= settings_.drain_limit.value_or(Time{5'000}),
           "an unproven worker has a short drain limit");
  step(drain.worker, DrainStep::asked, drain.limit ? std::optional(now_ + *drain.limit) : std::nullopt);
}

void Rules::order(const Expire& expire) {
  const Known& worker = known(expire.worker);
  demand(worker.told && worker.step == DrainStep::asked && worker.next_step == now_,
         "a drain expires when its limit has passed");
  step(expire.worker, DrainStep::expired, now_ + settings_.term_grace);
}

void Rules::order(const Signal& signal) {
  const Known& worker = known(signal.worker);
  demand(!worker.told || worker.step != DrainStep::killed, "nobody is killed twice");
  const bool due = worker.told && worker.next_step == now_;
  if (signal.kill) {
    demand((due && worker.step == DrainStep::termed) || (!worker.told && !worker.entered),
           "SIGKILL is for those who ignore SIGTERM and those who have not entered");
    step(signal.worker, DrainStep::killed, std::nullopt);
    return;
  }
  demand(!worker.told || worker.step < DrainStep::termed, "SIGTERM is sent once");
  demand((due && worker.step == DrainStep::expired) || force_allowed(),
         "SIGTERM is for those who outlast their limit, or at once on request");
  step(signal.worker, DrainStep::termed, now_ + settings_.term_grace);
}

void Rules::order(const Prepare&) {
  demand(wish_ == Wish::upgrade && !hook_runs_, "a preparation is for an upgrade that was asked for");
  demand(upgrade_ == 0 && state_before_ == "running" && !errand_before_, "there is one upgrade at a time");
  upgrade_ = request_;
  hook_runs_ = true;
}

void Rules::order(const CancelPrepare&) {
  demand(hook_runs_, "only a preparation that runs is cancelled");
  hook_runs_ = false;
}

void Rules::order(const Commit& commit) {
  const auto& [generation, release] = *releases_.rbegin();
  demand(generation > engine_.generation() && release == commit.release,
         "what is committed is what was rolled out");
  for (unsigned slot = 0; slot < engine_.fork_count(); ++slot)
    demand(std::any_of(engine_.workers().begin(), engine_.workers().end(),
                       [&, wanted = generation](const auto& entry) {
                         return entry.second.slot == slot && entry.second.generation == wanted &&
                                entry.second.state == WorkerState::ready;
                       }),
           "a release is committed when every slot has a ready worker of it");
}

void Rules::order(const Steer& steer) {
  demand(steer.slots == engine_.fork_count(), "connections are steered to the slots that stay");
}

void Rules::order(const CloseSlots& close) {
  for (const auto& [id, worker] : workers_)
    demand(worker.slot < close.slots, "slots are closed when nobody serves them");
}

void Rules::order(const Booted&) {
  demand(!booted_ && cause_ == Cause::committed, "the master has booted once, with the first commit");
  booted_ = true;
}

void Rules::order(const Answer& answer) {
  if (answer.request == 0) return;
  const auto it = open_.find(answer.request);
  demand(it != open_.end(), "a request is answered once");
  if (it->second.wish == Wish::upgrade) judge_upgrade_answer(answer);
  if (answer.verdict == Verdict::refused) {
    demand(answer.request == request_, "a request is refused at once");
    demand(state_before_ != "running" || errand_before_, "a request is refused when something is under way");
  }
  if (it->second.wish == Wish::stop || it->second.wish == Wish::die)
    demand(workers_.empty(), "a stop is answered when every worker has gone");
  if (answer.request == upgrade_) upgrade_ = 0;
  open_.erase(it);
}

void Rules::judge_upgrade_answer(const Answer& answer) {
  const bool succeeded = succeeded_.count(answer.request) > 0;
  demand(succeeded == (answer.verdict == Verdict::ok), "an upgrade is answered with what became of it");
  demand(answer.verdict == Verdict::ok || !answer.text.empty(), "a failure has a reason");
  const bool waited_long_enough = answer.text.find("not every slot is back") != std::string::npos;
  if (stopping_ || waited_long_enough) return;
  for (const auto& [id, worker] : workers_)
    demand(worker.told_in != answer.request,
           "the answer waits for the workers that the upgrade has sent away");
}

void Rules::order(const Quit&) {
  demand(workers_.empty(), "the master quits when every worker has gone");
  demand(open_.empty(), "the master quits when everybody has an answer");
  quit_ = true;
}

void Rules::order(const Note&) {}

void Rules::judge(Time now, Cause cause, const Commands& commands) {
  now_ = now;
  cause_ = cause;
  demand(!quit_ || commands.empty(), "after quitting there is silence");
  if (cause == Cause::prepared || cause == Cause::prepare_failed) hook_runs_ = false;
  if (cause == Cause::committed) succeeded_.insert(upgrade_);
  if (std::string(engine_.state()) == "stopping") stopping_ = true;
  if (std::string(engine_.state()) == "reverting") failed_ = releases_.rbegin()->first;
  for (const Command& command : commands) std::visit([&](const auto& one) { order(one); }, command);
  judge_books();
  wish_.reset();
  request_ = 0;
}

}  // namespace liveswap::rollout
