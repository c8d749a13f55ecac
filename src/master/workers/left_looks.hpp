#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "master/workers/left_processes.hpp"

namespace liveswap::master {

// When the master looks at what ended workers have left. A look reads /proc on the master's only thread, and
// takes the longer the more processes and connections there are. So one look is for all of them, and looks
// take at most a tenth of the time.
class LeftLooks {
 public:
  using Milliseconds = std::chrono::milliseconds;
  using Workers = std::map<pid_t, Traces>;
  using Look = std::function<std::optional<std::map<pid_t, Left>>(const Workers&)>;

  explicit LeftLooks(Look look = left_by) : look_(std::move(look)) {}

  // What that worker has left, by a look that began after it was first asked for, and that has not been told
  // before. Nothing: the next look is not due yet, or has failed: ask again. `now`: of a clock that does not
  // go back.
  std::optional<Left> at(pid_t worker, const Traces& traces, Milliseconds now);
  // The same by a look that is made for it alone, at once.
  // Empty when /proc cannot be read.
  Left now(pid_t worker, const Traces& traces) const {
    auto found = look_({{worker, traces}});
    return found ? std::move((*found)[worker]) : Left{};
  }
  // Whether that worker has been asked for by at(), and is not forgotten.
  bool knows(pid_t worker) const { return workers_.contains(worker); }
  void forget(pid_t worker);

  // From the beginning of a look to that of the next one.
  static Milliseconds interval_after(std::chrono::nanoseconds duration);

 private:
  Look look_;
  Workers workers_;
  std::map<pid_t, Left> found_;  // by the last look, and not told yet
  std::optional<Milliseconds> next_;
};

}  // namespace liveswap::master
