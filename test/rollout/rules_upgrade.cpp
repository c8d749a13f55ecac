#include <algorithm>

#include "rules.hpp"

// Rules for the course of an upgrade: its phases, its flip, and when it must fail.
namespace liveswap::rollout {

void Rules::begin_course(RequestId request) {
  demand(!course_ && !errand_bars(), "there is one upgrade at a time");
  course_ = Course{};
  course_->request = request;
  if (!booted_) {
    demand(request == 0, "nobody asks for a boot");
    course_->wish = boot_;
    return;
  }
  demand(request == request_ || request == queued_, "an upgrade was asked for");
  if (request == queued_) queued_ = 0;
  const auto it = open_.find(request);
  demand(it != open_.end() && it->second.kind == Kind::upgrade, "an upgrade was asked for");
  course_->wish = it->second.wish;
  demand(!impossible(course_->wish), "what is not possible is not begun");
}

void Rules::begin_rolling(const Note& note) {
  course_->rolling = true;
  course_->to = note.generation;
  course_->release = course_->wish.release ? *course_->wish.release : prepared_;
  demand(note.release == course_->release, "what is rolled out is what was asked for");
  demand(note.generation > (releases_.empty() ? 0 : releases_.rbegin()->first),
         "the generation is a new one");
}

void Rules::begin_trial() {
  course_->trial = now_;
  course_->good_probe = false;
}

void Rules::begin_revert(const Note& note) {
  demand(rolls() && !note.text.empty(), "what fails is an upgrade, for a reason");
  demand(!course_->flip || course_->flipped, "nothing is reverted while it flips");
  demand((cause_ != Cause::probed && cause_ != Cause::counted) || probe_counts_ || settings_.max_memory > 0,
         "nobody is judged for what is not his fault");
  demand(note.text.find("no memory") != 0 || !one_more_fits(),
         "nothing fails for want of memory that is there");
  course_->reverting = true;
  course_->last_before_revert = last_worker_;
  failed_ = course_->to;
}

void Rules::order(const Note& note) {
  switch (note.kind) {
    case NoteKind::ready: become_ready(known(note.worker)); return;
    case NoteKind::started:
      if (!course_) begin_course(note.request);
      if (course_->rolling) end_trial("a bake lasts as long as it should");
      else begin_rolling(note);
      return;
    case NoteKind::baking:
      demand(rolls() && booted_ && canary() > 0 && !course_->pace().flip, "a bake is for a canary");
      begin_trial();
      return;
    case NoteKind::probation:
      demand(rolls() && all_slots_serve(course_->to), "a probation is for all slots");
      begin_trial();
      return;
    case NoteKind::reverting: begin_revert(note); return;
    case NoteKind::silent:
    case NoteKind::answering:
    case NoteKind::hung: judge_liveness(note); return;
    case NoteKind::queued:
      demand(queued_ == 0 && note.request == request_ && wish_ == Kind::upgrade, "one waits at the most");
      queued_ = note.request;
      return;
    case NoteKind::leaving:
      demand(course_.has_value(), "what ends had begun");
      demand(succeeded_.count(course_->request) || course_->reverting || !course_->rolling || !booted_,
             "an upgrade ends committed or reverted");
      if (!course_->rolling) unprepared_ = course_->request;
      course_.reset();
      return;
    default: return;
  }
}

void Rules::become_ready(Known& worker) const {
  demand(!worker.ready && !worker.told, "who starts becomes ready, once");
  demand(
      worker.said_ready || (worker.entered && !worker.deferred && now_ >= *worker.entered + settings_.settle),
      "ready is who says so, or has settled");
  worker.ready = true;
}

unsigned Rules::canary() const {
  return std::min(course_->pace().canary.of(engine_.fork_count()), engine_.fork_count());
}

bool Rules::successor_serves() const {
  return rolls() && std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
           return entry.second.generation == course_->to && serves(entry.second);
         });
}

bool Rules::all_slots_serve(Generation generation) const {
  std::set<unsigned> slots;
  for (const auto& [id, worker] : workers_)
    if (worker.generation == generation && serves(worker) && worker.slot < engine_.fork_count())
      slots.insert(worker.slot);
  return slots.size() == engine_.fork_count();
}

// Bake or probation ends successfully.
void Rules::end_trial(const char* rule) {
  const bool vouched = wish_ == Kind::promote;
  const Course& course = *course_;
  const bool baking = !course.baked && booted_ && canary() > 0 && !course.pace().flip;
  const Time length = baking ? course.pace().bake : course.pace().probation;
  demand(!baking || course.trial, rule);
  demand(vouched || length == Time{0} || (course.trial && now_ >= *course.trial + length), rule);
  const bool proven = !settings_.health || !booted_ || course.sick.value_or(false) || course.good_probe;
  demand(vouched || proven, "nothing goes on without a good probe");
  course_->trial.reset();
  course_->baked = true;
}

void Rules::judge_course() const {
  if (!rolls() || !booted_) return;
  const std::string phase = engine_.phase();
  const bool flips = course_->flip && !course_->flipped;
  demand(flips == (phase == "flipping"), "a flip lasts until it is told to be over");
  demand(!course_->doomed || flips || (phase == "committing" && cause_ != Cause::commit_failed),
         "what has failed is reverted");
  demand(phase != "committing" || !course_->doomed, "what has failed is not committed");
  demand(course_->trial.has_value() == (phase == "baking" || phase == "probation"), "a trial is announced");
  if (!course_->trial) return;
  demand(wish_ != Kind::promote || phase != phase_before_, "who is promoted is not on trial any more");
  if (settings_.health) return;
  const Time end = *course_->trial + (phase == "baking" ? course_->pace().bake : course_->pace().probation);
  demand(now_ < end || (now_ == end && cause_ != Cause::tick), "a trial lasts no longer than it should");
  demand(engine_.phase_end() == end, "a trial says when it ends");
}

// With a flip, all connections go to the old release before the flip, and to the new one after it.
void Rules::judge_mix() const {
  if (!rolls() || !booted_ || !course_->pace().flip || !settings_.zero_downtime) return;
  for (const auto& [id, worker] : workers_) {
    if (worker.told) continue;
    const bool successor = worker.generation == course_->to;
    demand(worker.staged == (successor != course_->flip), "no connection goes to the other release");
  }
}

}  // namespace liveswap::rollout
