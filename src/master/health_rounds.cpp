#include <algorithm>
#include <utility>

#include "master/master.hpp"

// Rounds of health probes, and of what the applications count of themselves, while an upgrade is judged.
namespace liveswap::master {
namespace {

constexpr Milliseconds count_limit{500};
// An old worker that has just been told to drain may still accept for a moment, and answer a probe that was
// meant for its successor.
constexpr Milliseconds drain_grace{100};
}  // namespace

// A phase begins with a round of its own: what was found out before says nothing of it.
void Master::watch() {
  const std::string phase = engine_.judging() ? engine_.phase() : "";
  if (phase == watched_phase_) return;
  watched_phase_ = phase;
  // The round before the preparation is begun and awaited there.
  if (engine_.judging() && engine_.preparing()) return;
  prober_.cancel();
  if (phase.empty()) {
    watch_timer_.stop();
    served_before_.clear();
    return;
  }
  watch_timer_.start(drain_grace, [this] { watch_round(); });
}

void Master::watch_round() {
  count_served();
  watch_timer_.start(options_.health_interval, [this] { watch_round(); });
  if (!options_.health.empty() && !prober_.under_way())
    prober_.start(probe_connections(engine_.fork_count()));
}

void Master::on_probed(const Prober::Findings& found) {
  if (auto* receipt = upgrade_receipt()) receipt->probes(found.made, found.failed);
  perform(engine_.probed(now(), {found.made, found.failed, found.text}));
  // Of the round before the preparation; the upgrade may have been given up meanwhile.
  if (const auto value = std::exchange(unprepared_, std::nullopt)) begin_preparation(*value);
}

// Into the receipt, since the upgrade began: the first count of an old worker is where it begins.
void Master::tell_served(const std::map<rollout::WorkerId, rollout::Served>& served) {
  release::Recorder* receipt = upgrade_receipt();
  if (!receipt) return;
  rollout::Served before, fresh;
  for (const auto& [id, count] : served) {
    const auto worker = engine_.workers().find(id);
    if (worker == engine_.workers().end()) continue;
    const bool is_fresh = worker->second.generation > engine_.generation();
    const auto& from = is_fresh ? rollout::Served{} : served_before_.emplace(id, count).first->second;
    auto& sum = is_fresh ? fresh : before;
    sum.requests += count.requests - std::min(from.requests, count.requests);
    sum.failed += count.failed - std::min(from.failed, count.failed);
  }
  receipt->requests(release::Recorder::Role::before, before.requests, before.failed);
  receipt->requests(release::Recorder::Role::fresh, fresh.requests, fresh.failed);
}

void Master::count_served() {
  std::set<rollout::WorkerId> workers;
  for (const auto& [id, worker] : engine_.workers())
    if (worker.state == rollout::WorkerState::ready) workers.insert(id);
  const auto question = ask(workers, count_limit, [this](const WorkerQuery::Answers& answers) {
    std::map<rollout::WorkerId, rollout::Served> served;
    for (const auto& [id, open] : answers) served[id] = {pool_.served(id).served, pool_.served(id).failed};
    tell_served(served);
    perform(engine_.counted(now(), served));
  });
  for (const auto id : workers) pool_.count_connections(id, question);
}

}  // namespace liveswap::master
