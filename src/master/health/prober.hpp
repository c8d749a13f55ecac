#pragma once

#include <list>
#include <memory>

#include "config/health.hpp"
#include "master/health/probe.hpp"
#include "master/sockets/listeners.hpp"
#include "master/uv/loop.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::master {

// Finds out whether the application is well: asks it, in rounds, as a client would. Never blocks the loop.
class Prober {
 public:
  struct Findings {
    unsigned made = 0;
    unsigned failed = 0;
    std::string text;  // of the first that failed
  };
  using Done = std::function<void(const Findings&)>;

  // `commands`: whom and where commands run as. `limit`: of each probe.
  Prober(uv_loop_t& loop, std::vector<config::HealthProbe> probes, std::vector<Listeners::Bound> listeners,
         SpawnRequest commands, Milliseconds limit, Done done);

  // Begins a round; `done` is called once, at its end, and may destroy the prober or begin the next round.
  // Which worker gets a connection is the kernel's choice: each probe of a listener is made over so many
  // connections at once that every worker is likely to be met. A round under way is given up.
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
  const SpawnRequest commands_;
  const Milliseconds limit_;
  const Done done_;
  std::list<std::unique_ptr<Probe>> probes_under_way_;
  Findings findings_;
  Timer nothing_to_do_;
};

// Twice as many connections as workers, 4 at least and 32 at most.
unsigned probe_connections(unsigned forks);

}  // namespace liveswap::master
