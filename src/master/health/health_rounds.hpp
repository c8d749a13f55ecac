#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "master/health/prober.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Runs rounds while the engine judges an upgrade. A round probes the application and asks the workers that
// count requests for their counts. Each phase of the upgrade starts a new round, since earlier results say
// nothing about the phase. Before a preparation the probes run once against the old release alone: if they
// fail then, the engine does not blame the new release.
class HealthRounds {
 public:
  using Counts = std::map<rollout::WorkerId, rollout::Served>;  // since each worker's start
  // Requests served since the engine began to judge, by the old release and by the new one.
  struct Sums {
    rollout::Served before, fresh;
  };
  struct Handlers {
    // Asks these workers for their counts. Calls `done` later with the counts that arrived in time.
    std::function<void(const std::set<rollout::WorkerId>&, std::function<void(const Counts&)> done)> count;
    std::function<void(const Counts&, const Sums&)> counted;
    std::function<void(const rollout::Probe&)> probed;
    // False: the worker has served no request that it counts, and is not asked. Asking many workers takes
    // long, and most applications do not count.
    std::function<bool(rollout::WorkerId)> may_have_served;
  };
  using MakeProber = std::function<std::unique_ptr<Prober>(Prober::Done)>;

  HealthRounds(uv_loop_t& loop, const rollout::Engine& engine, Milliseconds interval, MakeProber make_prober,
               Handlers handlers);

  // The interval and the probes have changed.
  void renew(Milliseconds interval);

  // Call after every event of the engine: the phase may have changed.
  void follow();
  // Probes the old release and then calls `then`. Calls `then` at once if no probe is configured, or at the
  // start.
  void before_preparation(std::function<void()> then);
  // Call if the preparation is cancelled: ends the probes and forgets `then`.
  void cancel();

 private:
  void round();
  void count();
  Sums sums_of(const Counts& served);
  void on_probed(const rollout::Probe& found);

  const rollout::Engine& engine_;
  Milliseconds interval_;
  MakeProber make_prober_;
  Handlers handlers_;
  std::unique_ptr<Prober> prober_;
  Timer timer_;
  std::string phase_;     // the phase that the engine judges; empty: none
  Counts served_before_;  // what each old worker had served when the engine began to judge
  std::function<void()> then_;
};

}  // namespace liveswap::master
