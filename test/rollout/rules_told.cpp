#include <algorithm>

#include "rollout/judge.hpp"
#include "rules.hpp"

// The rules' records of the events that the engine gets.
namespace liveswap::rollout {

void Rules::boots(Time now, const UpgradeRequest& wish) {
  boot_ = wish;
  boot_.pace.canary = {};
  boot_.pace.probation = Time{0};
  wished(now, Kind::upgrade, 0);
}

void Rules::wished(Time now, Kind kind, RequestId request, const UpgradeRequest& wish) {
  wish_ = kind;
  request_ = request;
  if (request == 0) return;
  Open open{kind, wish, {}, course_ ? course_->request : 0};
  if (kind == Kind::kill) open.due = now + 2 * settings_.term_grace + settings_.ready_limit;
  // A killed worker exits a little later.
  const Time force = 2 * settings_.term_grace + Time{5};
  if (kind == Kind::stop && settings_.drain_limit)
    open.due = now + *settings_.drain_limit + force + settings_.term_grace;
  if (kind == Kind::die) open.due = now + force;
  open_.emplace(request, open);
  const bool aborts = kind == Kind::abort || kind == Kind::kill ||
                      (kind == Kind::upgrade && wish.overtake && !impossible(wish));
  if (aborts && may_fail()) course_->doomed = true;
}

void Rules::flipped() {
  if (!course_ || !course_->flip || course_->reverting) return;
  course_->flipped = true;
}

void Rules::measured(const std::map<WorkerId, std::uint64_t>& bytes) {
  measuring_ = false;
  sizes_ = bytes;
}

void Rules::probed(bool bad) {
  if (!may_fail()) return;
  if (!successor_serves()) {
    if (!course_->rolling || !course_->sick) course_->sick = bad;
    return;
  }
  const bool trial = course_->trial.has_value();
  course_->good_probe = trial && !bad;
  course_->bad_probes = bad ? course_->bad_probes + 1 : 0;
  probe_counts_ = !course_->sick.value_or(!trial) && course_->bad_probes >= 2;
  if (probe_counts_) course_->doomed = true;
}

void Rules::counted(const std::map<WorkerId, Served>& served) {
  if (!may_fail() || !course_->rolling) return;
  Served before, after;
  for (const auto& [id, count] : served) {
    const auto it = workers_.find(id);
    if (it == workers_.end()) continue;
    Served& sum = it->second.generation == course_->to ? after : before;
    sum.requests += count.requests;
    sum.failed += count.failed;
  }
  probe_counts_ = judge_errors(before, after).has_value();
  if (probe_counts_) course_->doomed = true;
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

void Rules::returned(WorkerId worker) {
  doom(worker);
  if (const auto it = workers_.find(worker); it != workers_.end()) it->second.returned = true;
}

void Rules::exited(WorkerId worker) {
  doom(worker);
  workers_.erase(worker);
  sizes_.erase(worker);
}

// A worker of the new release has failed, unless it was told to exit.
void Rules::doom(WorkerId failed) {
  const auto it = workers_.find(failed);
  if (it != workers_.end() && rolls() && !it->second.told && it->second.generation == course_->to)
    course_->doomed = true;
}

}  // namespace liveswap::rollout
