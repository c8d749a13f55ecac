#pragma once

#include <map>
#include <string>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// By name: canary, bake, probation, batch, surge, flip (as in the configuration file), and queue ("true" or
// "false").
using Wishes = std::map<std::string, std::string>;

struct Wished {
  Options options;
  bool queue = false;
};

// The options as they are after `liveswap forks FORKS`: amounts that were chosen for another number of forks
// are fitted to this one, so that neither an upgrade nor a rollback is refused for them. The canary stays:
// all slots at once would be none, so an upgrade has to say how many. Pure.
Options for_forks(Options options, unsigned forks);

// The options of a master with what one upgrade shall do otherwise. An unknown wish, a value that is none of
// its option, and values that do not go together with the others are errors: `canary: found "x", expected …`.
// Pure.
Result<Wished> with_wishes(Options options, const Wishes& wishes);

// The same, without a look at how the values go together: for a client, which does not know the master's
// options.
Result<void> check_wishes(const Wishes& wishes);

}  // namespace liveswap::config
