#include "master/health/health_rounds.hpp"

#include <algorithm>
#include <utility>

namespace liveswap::master {
namespace {

// Pause before the first round of a phase. An old worker that was just told to drain may still accept a
// probe's connection, which is meant for the successor.
constexpr Milliseconds drain_grace{100};

}  // namespace

HealthRounds::HealthRounds(uv_loop_t& loop, const rollout::Engine& engine, Milliseconds interval,
                           MakeProber make_prober, Handlers handlers)
    : engine_(engine),
      interval_(interval),
      make_prober_(std::move(make_prober)),
      handlers_(std::move(handlers)),
      prober_(make_prober_([this](const rollout::Probe& found) { on_probed(found); })),
      timer_(loop) {}

void HealthRounds::renew(Milliseconds interval) {
  interval_ = interval;
  prober_ = make_prober_([this](const rollout::Probe& found) { on_probed(found); });
}

void HealthRounds::follow() {
  const std::string phase = engine_.judging() ? engine_.phase() : "";
  if (phase == phase_) return;
  phase_ = phase;
  if (engine_.judging() && engine_.preparing()) return;
  prober_->cancel();
  if (phase.empty()) {
    timer_.stop();
    served_before_.clear();
    return;
  }
  timer_.start(drain_grace, [this] { round(); });
}

void HealthRounds::before_preparation(std::function<void()> then) {
  if (!prober_->has_probes() || engine_.generation() == 0) return then();
  then_ = std::move(then);
  prober_->start(probe_connections(engine_.fork_count()));
}

void HealthRounds::cancel() {
  then_ = nullptr;
  prober_->cancel();
}

void HealthRounds::round() {
  count();
  timer_.start(interval_, [this] { round(); });
  if (prober_->has_probes() && !prober_->under_way()) prober_->start(probe_connections(engine_.fork_count()));
}

// The handler may end the upgrade, which clears `then_` (cancel()).
void HealthRounds::on_probed(const rollout::Probe& found) {
  handlers_.probed(found);
  if (const auto then = std::exchange(then_, nullptr)) then();
}

void HealthRounds::count() {
  std::set<rollout::WorkerId> asked;
  Counts nothing;
  for (const auto& [id, worker] : engine_.workers()) {
    if (worker.state != rollout::WorkerState::ready) continue;
    if (handlers_.may_have_served(id)) asked.insert(id);
    else nothing[id] = {};
  }
  handlers_.count(asked, [this, nothing](const Counts& answers) {
    Counts served = nothing;
    served.insert(answers.begin(), answers.end());
    if (!phase_.empty()) handlers_.counted(served, sums_of(served));
  });
}

// Counts of an old worker are relative to the worker's first count since the engine began to judge.
HealthRounds::Sums HealthRounds::sums_of(const Counts& served) {
  Sums sums;
  for (const auto& [id, count] : served) {
    const auto worker = engine_.workers().find(id);
    if (worker == engine_.workers().end()) continue;
    const bool is_fresh = worker->second.generation > engine_.generation();
    const auto from = is_fresh ? rollout::Served{} : served_before_.emplace(id, count).first->second;
    auto& sum = is_fresh ? sums.fresh : sums.before;
    sum.requests += count.requests - std::min(from.requests, count.requests);
    sum.failed += count.failed - std::min(from.failed, count.failed);
  }
  return sums;
}

}  // namespace liveswap::master
