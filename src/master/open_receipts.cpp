#include "master/open_receipts.hpp"

#include <algorithm>
#include <chrono>

#include "base/log.hpp"
#include "json/fields.hpp"
#include "release/success_text.hpp"

namespace liveswap::master {

using release::Recorder;

nlohmann::json release_json(const rollout::Release& release, rollout::Generation generation) {
  if (release.path.empty()) return nullptr;
  const auto known = [](bool is, nlohmann::json value) { return is ? std::move(value) : nlohmann::json(); };
  return {{"path", release.path},
          {"id", known(!release.id.empty(), release.id)},
          {"generation", known(generation > 0, generation)}};
}

void OpenReceipts::open(rollout::RequestId request, rollout::Time now, const Json& head) {
  open_.insert_or_assign(request, Recorder(now, release::utc_text(std::chrono::system_clock::now()), head));
}

Recorder* OpenReceipts::find(rollout::RequestId request) {
  const auto it = open_.find(request);
  return it == open_.end() ? nullptr : &it->second;
}

void OpenReceipts::begin(rollout::RequestId request, const rollout::Engine& engine,
                         const std::map<rollout::WorkerId, pid_t>& pids, const rollout::Note& note) {
  Recorder* recorder = find(request);
  if (!recorder) return;
  recorder->amend({{"to", release_json(note.release, note.generation)}});
  for (const auto& [id, worker] : engine.workers()) {
    const auto pid = pids.find(id);
    // The engine may be ahead: it may have told the first ones to drain already. Not those that drain since
    // before.
    if (pid == pids.end() || engine.request_of(id) != request) continue;
    recorder->worker(worker.spawned, id, worker.slot, worker.generation, Recorder::Role::before, pid->second);
    if (worker.was_ready) recorder->ready(worker.spawned, id);
  }
}

void OpenReceipts::committed(const rollout::Release& release, const std::string& left) {
  if (!left.empty()) left_.insert(left);
  left_.erase(release.id);
  std::erase_if(committed_, [&](const auto& one) { return one.id == release.id; });
  committed_.insert(committed_.begin(), {release.path, release.id});
  if (committed_.size() <= release::History::kept) return;
  left_.erase(committed_.back().id);
  committed_.pop_back();
}

std::vector<release::Committed> OpenReceipts::committed(std::size_t k) const {
  return {committed_.begin(),
          committed_.begin() + static_cast<std::ptrdiff_t>(std::min(k, committed_.size()))};
}

OpenReceipts::Closed OpenReceipts::close(rollout::RequestId request, rollout::Time now,
                                         const std::string& outcome, const std::string& reason) {
  const auto entry = open_.extract(request);
  if (entry.empty()) return {0, reason};
  Json document = entry.mapped().finish(now, outcome, reason);
  if (outcome == "ok" && json::text(document, "kind") != "start")
    document["reason"] = release::success_text(document, reason);
  // It never began: no release was made, and nothing was planned for one.
  if (outcome == "refused")
    for (const char* unknown : {"to", "plan", "slots", "skew_ms"}) document[unknown] = nullptr;
  const std::string text = json::text_or_empty(document, "reason");
  const auto number = history_.add(std::move(document));
  if (!number) log::error("the receipt could not be written: {}", number.error().text);
  return {number.value_or(0), text};
}

}  // namespace liveswap::master
