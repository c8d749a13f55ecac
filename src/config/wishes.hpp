#pragma once

#include <map>
#include <string>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// Per-upgrade options: canary, bake, probation, batch, surge, flip (as in the configuration file), and queue
// ("true" or "false").
using Wishes = std::map<std::string, std::string>;

struct Wished {
  Options options;
  bool queue = false;
};

// The options after `liveswap forks FORKS`. Raises max_draining, and for a flip surge, to FORKS, so that
// validate() does not refuse the next upgrade. Does not reduce a canary larger than FORKS: the reduced one
// would cover all slots. So the next upgrade is refused until it gives a smaller canary. Pure.
Options for_forks(Options options, unsigned forks);

// Applies per-upgrade options to those of the master. An unknown name, an invalid value, or values that
// contradict each other are errors: `canary: found "x", expected …`. Pure.
Result<Wished> with_wishes(Options options, const Wishes& wishes);

// Checks names and values only, for a client, which does not have the master's options.
Result<void> check_wishes(const Wishes& wishes);

}  // namespace liveswap::config
