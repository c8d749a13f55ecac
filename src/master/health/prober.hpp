#pragma once

#include <list>
#include <memory>

#include "config/health.hpp"
#include "master/health/probe.hpp"
#include "master/sockets/listeners.hpp"
#include "master/uv/loop.hpp"
#include "rollout/types.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Checks the application's health in rounds of probes, as a client would see it. Never blocks the loop.
class Prober {
 public:
  using Done = std::function<void(const rollout::Probe&)>;

  // `commands`: user, directory and environment of commands. `limit`: for each probe.
  Prober(uv_loop_t& loop, std::vector<config::HealthProbe> probes, std::vector<Listeners::Bound> listeners,
         spawn::Request commands, Milliseconds limit, Done done);

  // Begins a round; `done` is called once at its end, and may destroy the prober or start the next round.
  // The kernel chooses the worker, so each listener is probed over `connections` connections at once, to
  // reach every worker with high probability. Cancels the current round.
  void start(unsigned connections);
  void cancel();
  bool under_way() const { return !probes_under_way_.empty(); }
  bool has_probes() const { return !probes_.empty(); }

 private:
  void begin(const config::HealthProbe& probe, unsigned connections);
  void add(const std::function<std::unique_ptr<Probe>(Probe::Done)>& make, const std::string& object);
  void on_done(std::list<std::unique_ptr<Probe>>::iterator probe, const std::string& object,
               const std::string& failure);
  void tell();

  uv_loop_t& loop_;
  const std::vector<config::HealthProbe> probes_;
  const std::vector<Listeners::Bound> listeners_;
  const spawn::Request commands_;
  const Milliseconds limit_;
  const Done done_;
  std::list<std::unique_ptr<Probe>> probes_under_way_;
  rollout::Probe findings_;
  Timer nothing_to_do_;
};

// Twice `forks`, but 4 to 32.
unsigned probe_connections(unsigned forks);

}  // namespace liveswap::master
