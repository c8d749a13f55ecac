#include <algorithm>

#include "rules.hpp"

// Rules for hung workers: which ones count as hung, and how they are replaced.
namespace liveswap::rollout {

bool Rules::is_asked(WorkerId id) const {
  const auto it = workers_.find(id);
  return it != workers_.end() && serves(it->second);
}

void Rules::answered(WorkerId id) {
  if (!is_asked(id)) return;
  Known& worker = workers_.at(id);
  worker.answered = check_proven_ = true;
  worker.unanswered = 0;
  worker.hung = false;
}

void Rules::cannot_be_asked(WorkerId id) {
  if (const auto it = workers_.find(id); it != workers_.end()) {
    it->second.unanswered = 0;
    it->second.hung = it->second.answered = false;
  }
}

void Rules::unanswered(Time now, WorkerId id) {
  if (!is_asked(id)) return;
  Known& worker = workers_.at(id);
  if (worker.unanswered++ == 0) worker.silent_since = now;
  const bool long_enough = worker.answered || now >= worker.silent_since + settings_.first_answer;
  if (worker.hung || !check_proven_ || worker.unanswered < settings_.liveness_failures || !long_enough)
    return;
  worker.hung = true;
  just_hung_ = id;
  doom(id);
}

// What was counted is forgotten.
void Rules::reexecuted() {
  check_proven_ = false;
  replaced_.clear();
  for (auto& [id, worker] : workers_) {
    worker.unanswered = 0;
    worker.hung = false;
    check_proven_ |= worker.answered;
  }
}

// A second worker of a generation in a slot is there for a hung one.
bool Rules::replaces_hung(const Spawn& spawn) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Known& other = entry.second;
    return other.slot == spawn.slot && other.generation == spawn.generation && !other.told && other.hung;
  });
}

// Not in a loop: a limit for all slots together, and a pause in each.
void Rules::judge_replacement(unsigned slot) {
  const ReplacementPace& pace = settings_.replacement;
  unsigned recent = 0;
  for (const auto& [at, where] : replaced_) {
    recent += at > now_ - pace.window ? 1 : 0;
    demand(where != slot || now_ - at >= pace.first_pause, "a slot pauses between two replacements");
  }
  demand(recent < engine_.fork_count(), "no more hung workers are replaced in a window than there are slots");
  for (const auto& [id, other] : workers_)
    demand(!other.replaces || other.ready || other.told, "hung workers are replaced one at a time");
  replaced_.emplace_back(now_, slot);
}

// The hung worker is ended before its successor starts. That is a replacement where no request or upgrade
// ends it.
void Rules::judge_old_first(const Known& hung) {
  if (stopping_ || course_ || errand_open() || hung.slot >= engine_.fork_count()) return;
  if (hung.generation != generation_) return;  // of a release that has failed
  const auto successor = [&](const auto& entry) {
    return entry.second.slot == hung.slot && entry.second.replaces && serves(entry.second);
  };
  if (std::any_of(workers_.begin(), workers_.end(), successor)) return;
  judge_replacement(hung.slot);
  std::set<unsigned> slots{hung.slot};
  for (const auto& [id, worker] : workers_)
    if (serves(worker)) slots.insert(worker.slot);
  demand(slots.size() >= engine_.fork_count(),
         "a hung worker leaves before its successor only if others serve");
}

void Rules::judge_liveness(const Note& note) {
  const Known& worker = known(note.worker);
  if (note.kind == NoteKind::silent) demand(worker.unanswered == 1, "a silence is told once");
  if (note.kind == NoteKind::answering) demand(worker.unanswered == 0, "the end of a silence is told");
  if (note.kind != NoteKind::hung) return;
  demand(note.worker == just_hung_, "a worker hangs when it has left enough checks unanswered");
  just_hung_ = 0;
}

}  // namespace liveswap::rollout
