#include "rollout/engine.hpp"

namespace liveswap::rollout {

const Engine::Farewell* Engine::farewell_of(WorkerId worker) const {
  for (const Farewell& farewell : farewells_)
    if (farewell.workers.count(worker)) return &farewell;
  return nullptr;
}

RequestId Engine::request_of(WorkerId worker) const {
  if (const Farewell* farewell = farewell_of(worker)) return farewell->answers.front().request;
  return upgrade_ ? upgrade_->request : 0;
}

void Engine::note(NoteKind kind, const Worker& worker, Time now, const std::string& text) {
  out_.push_back(Note{kind, request_of(worker.id), worker.id, worker.slot, worker.generation, worker.release, text,
                      now - worker.spawned});
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

}  // namespace liveswap::rollout
