#include "world.hpp"

// Liveness checks: the simulated master asks each worker that serves, and reports what the real one would.
namespace liveswap::rollout {

void World::obey(const Note& note) {
  const auto process = processes_.find(note.worker);
  if (note.kind != NoteKind::ready || plan_.settings.liveness_failures == 0 || process == processes_.end())
    return;
  const Nature& nature = process->second.nature;
  if (nature.hangs_after) process->second.hangs_from = now_ + *nature.hangs_after;
  ask_later(note.worker, Time{dice_.between(0, 8)});
}

void World::ask_later(WorkerId id, Time span) {
  later(span, [this, id, execution = execution_] {
    if (execution == execution_) ask(id);
  });
}

// A re-executed master asks every worker that serves.
void World::ask_anew() {
  ++execution_;
  answered_ = false;
  for (const auto& [id, worker] : engine_.workers()) {
    answered_ |= worker.liveness.has_answered;
    const auto process = processes_.find(id);
    if (!engine_.is_asked(worker) || process == processes_.end()) continue;
    process->second.answered = process->second.silent = false;
    if (plan_.settings.liveness_failures > 0) ask_later(id, Time{dice_.between(0, 8)});
  }
}

// In calm nobody begins to hang. What hangs goes on, to be replaced; but where no worker has ever answered,
// the engine judges nobody.
bool World::hangs(const Process& process) const {
  const auto& from = process.hangs_from;
  if (!from || now_ < *from) return false;
  if (process.nature.hangs_for && now_ >= *from + *process.nature.hangs_for) return false;
  return !calm_ || (process.silent && answered_);
}

void World::ask(WorkerId id) {
  const auto process = processes_.find(id);
  const auto worker = engine_.workers().find(id);
  if (process == processes_.end() || worker == engine_.workers().end() ||
      worker->second.state == WorkerState::draining)
    return;
  const auto again = [this, id, execution = execution_](Time span) {
    if (execution == execution_) ask_later(id, span);
  };
  if (!engine_.is_asked(worker->second)) return again(Time{dice_.between(1, 10)});  // before a flip
  if (!process->second.nature.can_be_asked) {
    rules_.cannot_be_asked(id);
    return tell(Cause::liveness, "cannot be asked", id, [&] { return engine_.cannot_be_asked(now_, id); });
  }
  if (hangs(process->second)) {
    report_silence(id, process->second);
    return again(Time{dice_.between(1, 8)});
  }
  const auto from = process->second.hangs_from;
  report_answer(id, process->second);
  if (from && now_ < *from) again(*from - now_);
}

// The first answer, and the first one after a silence.
void World::report_answer(WorkerId id, Process& process) {
  if (process.answered && !process.silent) return;
  process.answered = answered_ = true;
  process.silent = false;
  rules_.answered(id);
  tell(Cause::liveness, "answered", id, [&] { return engine_.answered(now_, id); });
}

void World::report_silence(WorkerId id, Process& process) {
  process.silent = true;
  rules_.unanswered(now_, id);
  tell(Cause::liveness, "unanswered", id, [&] { return engine_.unanswered(now_, id, "no answer"); });
}

}  // namespace liveswap::rollout
