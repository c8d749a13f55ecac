#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "master/health/prober.hpp"
#include "rollout/engine.hpp"

namespace liveswap::master {

// Rounds in which the application is probed, and the requests are counted that the workers have served, while
// the engine judges an upgrade. Each phase begins with a round of its own, since what was found out before
// says nothing of it. The probes are also made once before an upgrade is prepared: what the old release fails
// is not held against the new one.
class HealthRounds {
 public:
  using Counts = std::map<rollout::WorkerId, rollout::Served>;  // since each worker's start
  // Of the old and of the new release, since the engine began to judge.
  struct Sums {
    rollout::Served before, fresh;
  };
  struct Handlers {
    // Asks these workers for their counts, and calls `done` later with those that have answered.
    std::function<void(const std::set<rollout::WorkerId>&, std::function<void(const Counts&)> done)> count;
    std::function<void(const Counts&, const Sums&)> counted;
    std::function<void(const rollout::Probe&)> probed;
  };
  using MakeProber = std::function<std::unique_ptr<Prober>(Prober::Done)>;

  HealthRounds(uv_loop_t& loop, const rollout::Engine& engine, Milliseconds interval,
               const MakeProber& make_prober, Handlers handlers);

  // To be called after every event of the engine: its phase may be another one.
  void follow();
  // Probes the release that serves, and calls `then` afterwards; at once where there is nothing to probe.
  void before_preparation(std::function<void()> then);
  // The preparation is cancelled: `then` is not called any more.
  void cancel();

 private:
  void round();
  void count();
  Sums sums_of(const Counts& served);
  void on_probed(const rollout::Probe& found);

  const rollout::Engine& engine_;
  const Milliseconds interval_;
  Handlers handlers_;
  std::unique_ptr<Prober> prober_;
  Timer timer_;
  std::string phase_;     // that is judged; empty: none
  Counts served_before_;  // what each old worker had served when the engine began to judge
  std::function<void()> then_;
};

}  // namespace liveswap::master
