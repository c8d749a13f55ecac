#include "master/health/liveness_checks.hpp"

#include <fmt/format.h>

#include <climits>
#include <utility>

namespace liveswap::master {

LivenessChecks::LivenessChecks(uv_loop_t& loop, const rollout::Engine& engine,
                               std::optional<WorkerCheck::Plan> plan, Handlers handlers)
    : loop_(loop), engine_(engine), plan_(std::move(plan)), handlers_(std::move(handlers)) {}

void LivenessChecks::follow() {
  if (!plan_) return;
  std::erase_if(checks_, [this](const auto& check) {
    const auto worker = engine_.workers().find(check.first);
    return worker == engine_.workers().end() || !engine_.is_asked(worker->second);
  });
  std::erase_if(early_beats_, [this](const auto& beat) { return !engine_.workers().contains(beat.first); });
  for (const auto& [id, worker] : engine_.workers()) {
    if (!engine_.is_asked(worker)) continue;
    checks_.try_emplace(id, loop_, *plan_, handlers_of(worker), next_beat_of(worker));
  }
}

// One that has answered a former image of this program has given heartbeats.
Milliseconds LivenessChecks::next_beat_of(const rollout::Engine::Worker& worker) const {
  if (const auto beat = early_beats_.find(worker.id); beat != early_beats_.end()) return beat->second;
  return worker.liveness.has_answered ? plan_->interval : Milliseconds(0);
}

// A check that waits for heartbeats goes on, because it would begin with the next one only, and a worker that
// hangs sends none. Others begin anew where the interval has changed: the former one may be very long.
bool LivenessChecks::use(std::optional<WorkerCheck::Plan> plan) {
  const bool same = plan.has_value() == plan_.has_value() && (!plan || plan->check == plan_->check);
  const bool as_often = same && plan && plan->interval == plan_->interval && plan->limit == plan_->limit;
  if (!same) early_beats_.clear();
  if (!same || (plan && !plan->check.heartbeat && !as_often)) checks_.clear();
  // The listeners may have changed.
  std::erase_if(checks_, [](const auto& check) { return check.second.is_stopped(); });
  if (plan && plan_) *plan_ = std::move(*plan);
  else plan_ = std::move(plan);
  return !same;
}

void LivenessChecks::beat(rollout::WorkerId worker, Milliseconds next_within) {
  if (!plan_ || !plan_->check.heartbeat) return;
  const auto it = checks_.find(worker);
  if (it == checks_.end()) early_beats_[worker] = next_within;
  else it->second.beat(next_within);
}

void LivenessChecks::taken(rollout::WorkerId worker, std::int32_t number, AppListeners::Taken what) {
  if (const auto it = checks_.find(worker); it != checks_.end()) it->second.taken(-number, what);
}

WorkerCheck::Handlers LivenessChecks::handlers_of(const rollout::Engine::Worker& worker) {
  const auto id = worker.id;
  return {
      [this, id] { handlers_.answered(id); },
      [this, id](const std::string& why) { handlers_.unanswered(id, why); },
      [this, id](const std::string& why) { handlers_.cannot_be_asked(id, why); },
      [this, id] { return handlers_.way(id, plan_->check.probe.listener); },
      [this, id](const WorkerCheck::Way& way, int connection) {
        last_number_ = last_number_ == INT32_MAX ? 1 : last_number_ + 1;
        return handlers_.send(id, way, connection, -last_number_) ? last_number_ : 0;
      },
      [this, id, slot = worker.slot, generation = worker.generation] {
        return std::vector<std::string>{fmt::format("LIVESWAP_SLOT={}", slot),
                                        fmt::format("LIVESWAP_GENERATION={}", generation),
                                        fmt::format("LIVESWAP_PID={}", handlers_.pid(id))};
      },
      [this, id] { return engine_.can_be_asked(id); },
  };
}

}  // namespace liveswap::master
