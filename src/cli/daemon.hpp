#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "liveswap.hpp"

namespace liveswap::cli {

// Runs a master in the background. Forks, so nothing that has threads may have been started; returns in both
// processes. In the parent, once every worker is ready or the master has failed: `pid` is the master's when
// all is well, `log_end` else the last lines that were written into its log meanwhile (Tail::text()). In the
// child
// (`child`), when `run` has returned.
struct Detached {
  Outcome outcome;
  pid_t pid = 0;
  bool child = false;
  std::string log_end = {};
};

// `options` are validated and have a log file; its directory exists. `run` is liveswap::run or a test's.
Detached run_in_background(Options options, const std::function<Outcome(const Options&)>& run);

// Fills in the log file of a master in the background and makes the directory for it.
Outcome prepare_log(Options& options);

}  // namespace liveswap::cli
