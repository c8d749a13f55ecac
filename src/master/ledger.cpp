#include "master/ledger.hpp"

#include <chrono>

#include "base/log.hpp"

namespace liveswap::master {

using release::Recorder;

nlohmann::json release_json(const rollout::Release& release, rollout::Generation generation) {
  if (release.path.empty()) return nullptr;
  return {{"path", release.path}, {"id", release.id}, {"generation", generation}};
}

void Ledger::open(rollout::RequestId request, rollout::Time now, const Json& head) {
  open_.insert_or_assign(request,
                         Recorder(now, release::utc_text(std::chrono::system_clock::now()), head));
}

Recorder* Ledger::find(rollout::RequestId request) {
  const auto it = open_.find(request);
  return it == open_.end() ? nullptr : &it->second;
}

void Ledger::begin(rollout::RequestId request, const rollout::Engine& engine,
                   const std::map<rollout::WorkerId, pid_t>& pids, const rollout::Note& note) {
  Recorder* recorder = find(request);
  if (!recorder) return;
  recorder->amend({{"to", release_json(note.release, note.generation)}});
  for (const auto& [id, worker] : engine.workers()) {
    const auto pid = pids.find(id);
    // The engine may be ahead: it may have told the first ones to drain already. Not those that drain since before.
    if (pid == pids.end() || engine.request_of(id) != request) continue;
    recorder->worker(worker.spawned, id, worker.slot, worker.generation, Recorder::Role::before, pid->second);
    if (worker.was_ready) recorder->ready(worker.spawned, id);
  }
}

std::uint64_t Ledger::close(rollout::RequestId request, rollout::Time now, const std::string& outcome,
                            const std::string& reason) {
  const auto entry = open_.extract(request);
  if (entry.empty()) return 0;
  const auto number = history_.add(entry.mapped().finish(now, outcome, reason));
  if (number) return *number;
  log::error("the receipt could not be written: {}", number.error().text);
  return 0;
}

}  // namespace liveswap::master
