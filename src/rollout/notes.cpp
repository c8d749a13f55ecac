#include <algorithm>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

const Engine::PendingAnswer* Engine::pending_answer_of(WorkerId worker) const {
  for (const PendingAnswer& pending : pending_answers_)
    if (pending.workers.count(worker)) return &pending;
  return nullptr;
}

RequestId Engine::request_of(WorkerId worker) const {
  if (const PendingAnswer* pending = pending_answer_of(worker)) return pending->answers.front().request;
  return upgrade_ ? upgrade_->request : 0;
}

void Engine::note(NoteKind kind, const Worker& worker, Time now, const std::string& text) {
  out_.push_back(Note{kind, request_of(worker.id), worker.id, worker.slot, worker.generation, worker.release,
                      text, now - worker.spawned});
}

void Engine::note(NoteKind kind, const std::string& text) {
  Note note;
  note.kind = kind;
  note.text = text;
  if (upgrade_) {
    note.request = upgrade_->request;
    note.generation = upgrade_->to.generation;
    note.release = upgrade_->to.release;
  }
  out_.push_back(std::move(note));
}

// Repairs are told to every requester that waits: its upgrade may be the cause.
Commands Engine::files(Time now, const FileNews& news) {
  const auto add = [](std::vector<std::string>& to, const std::string& text) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
  };
  for (const std::string& text : news.mended) {
    if (upgrade_) add(upgrade_->mended, text);
    for (PendingAnswer& pending : pending_answers_) add(pending.mended, text);
  }
  lost_files_ = news.lost;
  return done(now);
}

// Success includes that clients can connect.
void Engine::answer(PendingAnswer pending) {
  Answer& first = pending.answers.front();
  for (const std::string& text : pending.mended) first.text += "; " + text;
  if (first.verdict == Verdict::ok && !lost_files_.empty()) {
    first.verdict = Verdict::unreachable;
    first.text += ", but nobody can connect to all of its listeners";
  }
  for (const std::string& text : lost_files_) first.text += "; " + text;
  if (first.verdict == Verdict::cut)
    first.text +=
        "; liveswap can neither end nor hand off connections of other processes: let --forks start workers "
        "in place of them, or raise --drain-limit";
  out_.insert(out_.end(), pending.answers.begin(), pending.answers.end());
}

}  // namespace liveswap::rollout
