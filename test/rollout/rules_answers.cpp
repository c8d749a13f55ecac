#include <algorithm>

#include "rules.hpp"

// Rules for answers: every request gets one, true and in time.
namespace liveswap::rollout {

bool Rules::impossible(const UpgradeRequest& wish) const {
  const unsigned forks = engine_.fork_count();
  if (!wish.pace.canary.percent && wish.pace.canary.value > forks) return true;
  if (!wish.pace.flip) return false;
  return wish.pace.canary.value > 0 || (settings_.zero_downtime && wish.pace.surge.of(forks) < forks);
}

void Rules::order(const Answer& answer) {
  if (answer.request == 0) return;
  const auto it = open_.find(answer.request);
  demand(it != open_.end(), "a request is answered once");
  const Open open = it->second;
  if (answer.verdict == Verdict::refused) judge_refusal(answer, open);
  else if (open.kind == Kind::upgrade) judge_upgrade_answer(answer, open);
  if (answer.verdict == Verdict::ok) {
    if (open.kind == Kind::stop || open.kind == Kind::die)
      demand(workers_.empty(), "a stop is answered when every worker has gone");
    if (open.kind == Kind::promote)
      demand(phase_before_ == "baking" || phase_before_ == "probation", "a trial is what is promoted");
    if (open.kind == Kind::abort)
      demand(!succeeded_.count(open.target) && !(course_ && course_->request == open.target),
             "an abort is answered when the upgrade is over");
  }
  open_.erase(it);
}

void Rules::judge_upgrade_answer(const Answer& answer, const Open&) const {
  const bool succeeded = succeeded_.count(answer.request) > 0;
  demand(succeeded == (answer.verdict == Verdict::ok), "an upgrade is answered with what became of it");
  demand(answer.verdict == Verdict::ok || !answer.text.empty(), "a failure has a reason");
  const bool memory = answer.text.find("no memory") != std::string::npos;
  demand(!memory || settings_.max_memory > 0, "nobody lacks memory without a limit");
  const bool waited_long_enough = answer.text.find("not every slot is back") != std::string::npos;
  if (stopping_ || waited_long_enough) return;
  for (const auto& [id, worker] : workers_)
    demand(worker.told_in != answer.request,
           "the answer waits for the workers that the upgrade has sent away");
}

void Rules::judge_refusal(const Answer& answer, const Open& open) {
  // The file could not be prepared.
  if (cause_ == Cause::prepare_failed && answer.request == unprepared_) return;
  const bool idle = state_before_ == "running" && !errand_before_;
  switch (open.kind) {
    case Kind::upgrade: judge_refused_upgrade(answer, open); return;
    case Kind::promote:
      demand(phase_before_ != "baking" && phase_before_ != "probation", "a trial can be promoted");
      break;
    case Kind::abort: demand(!may_fail(), "what is under way can be aborted"); break;
    case Kind::kill:
    case Kind::forks: demand(!idle, "a request is refused when something is under way"); break;
    case Kind::stop:
    case Kind::die: demand(false, "a stop is never refused");
  }
  demand(answer.request == request_, "a request is refused at once");
}

void Rules::judge_refused_upgrade(const Answer& answer, const Open& open) {
  const bool waits = open.wish.queue || open.wish.overtake;
  const bool barred = state_before_ == "starting" || state_before_ == "stopping";
  const bool idle = state_before_ == "running" && !errand_barred_;
  // A request may be queued and begun by the same event, which then finds that it cannot be.
  if (answer.request == request_ && answer.request != queued_) {
    demand(impossible(open.wish) || barred || (!idle && !waits), "who may begin or wait is not refused");
    return;
  }
  demand(answer.request == queued_, "a request is refused at once");
  queued_ = 0;
  const auto newer = open_.find(request_);
  const bool overtaken = wish_ == Kind::upgrade && newer != open_.end() &&
                         (newer->second.wish.queue || newer->second.wish.overtake);
  demand(overtaken || impossible(open.wish), "who waits is refused for a newer one, or when it cannot be");
}

void Rules::order(const Quit&) {
  demand(workers_.empty(), "the master quits when every worker has gone");
  demand(open_.empty(), "the master quits when everybody has an answer");
  quit_ = true;
}

}  // namespace liveswap::rollout
