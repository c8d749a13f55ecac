#pragma once

#include <map>

#include "master/health/worker_check.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// The liveness checks of all workers that serve (--liveness). Without that option does nothing.
class LivenessChecks {
 public:
  struct Handlers {
    std::function<void(rollout::WorkerId)> answered;
    std::function<void(rollout::WorkerId, const std::string&why)> unanswered, cannot_be_asked;
    // As in WorkerCheck. `number` < 0: for the frame.
    std::function<Result<WorkerCheck::Way>(rollout::WorkerId, const std::string& listener)> way;
    std::function<bool(rollout::WorkerId, const WorkerCheck::Way&, int connection, std::int32_t number)> send;
    std::function<pid_t(rollout::WorkerId)> pid;
  };

  // nullopt: off.
  LivenessChecks(uv_loop_t& loop, const rollout::Engine& engine, std::optional<WorkerCheck::Plan> plan,
                 Handlers handlers);

  // Call after every event of the engine: a worker may have begun, or ceased, to serve.
  void follow();
  // From now on; nullopt: off. False: it asks in the same way as the former one, so that what is known of the
  // workers still holds.
  bool use(std::optional<WorkerCheck::Plan> plan);
  void beat(rollout::WorkerId worker, Milliseconds next_within);
  void taken(rollout::WorkerId worker, std::int32_t number, AppListeners::Taken what);

 private:
  WorkerCheck::Handlers handlers_of(const rollout::Engine::Worker& worker);
  Milliseconds next_beat_of(const rollout::Engine::Worker& worker) const;

  uv_loop_t& loop_;
  const rollout::Engine& engine_;
  std::optional<WorkerCheck::Plan> plan_;  // the checks refer to it
  const Handlers handlers_;
  std::map<rollout::WorkerId, WorkerCheck> checks_;
  std::map<rollout::WorkerId, Milliseconds> early_beats_;  // of workers that did not serve yet
  std::int32_t last_number_ = 0;
};

}  // namespace liveswap::master
