#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "liveswap.hpp"

namespace liveswap::cli {

// Result of run_in_background(), which returns in both processes.
struct Detached {
  Outcome outcome;
  pid_t pid = 0;
  bool child = false;
  std::string log_end = {};
};

// Forks, so no threads may exist; runs a master in the child. In the parent, returns when every worker is
// ready or the master has failed. Then `pid` is the master's, or `log_end` has the last lines of the log
// (Tail::text()). In the child, returns after `run`, with `child` set. `options` are validated and name a log
// file in an existing directory. `run` is liveswap::run, or a fake in tests.
Detached run_in_background(Options options, const std::function<Outcome(const Options&)>& run);

// Sets the log file of a background master and makes its directory.
Outcome prepare_log(Options& options);

}  // namespace liveswap::cli
