#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "master/workers/left_processes.hpp"

namespace liveswap::master {

// Limits how often the master scans for left processes: a scan reads /proc on the master's only thread and
// takes longer with more processes and connections. One scan serves all ended workers, and scans take at
// most a tenth of the time.
class LeftScans {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Workers = std::map<pid_t, Traces>;
  using Scan = std::function<std::optional<std::map<pid_t, Left>>(const Workers&)>;

  explicit LeftScans(Scan scan = left_by) : scan_(std::move(scan)) {}

  // If a scan is due, scans for all workers for which at() was called. Returns what the last scan found for
  // this worker; each result is returned once. nullopt: no new result, or the scan failed; call again. `now`:
  // any monotonic clock.
  std::optional<Left> at(pid_t worker, const Traces& traces, Milliseconds now);
  // The same by an immediate scan for this worker alone. Empty if /proc cannot be read.
  Left now(pid_t worker, const Traces& traces) const {
    auto found = scan_({{worker, traces}});
    return found ? std::move((*found)[worker]) : Left{};
  }
  // Whether at() was called for the worker since the last forget().
  bool knows(pid_t worker) const { return workers_.contains(worker); }
  void forget(pid_t worker);

  // The time from the beginning of a scan that took `duration` to the beginning of the next one.
  static Milliseconds interval_after(std::chrono::nanoseconds duration);

 private:
  Scan scan_;
  Workers workers_;
  std::map<pid_t, Left> found_;  // by the last scan, not returned yet
  std::optional<Milliseconds> next_;
};

}  // namespace liveswap::master
