#pragma once

#include "cli/arguments.hpp"

namespace liveswap::cli {

// Shows the status again and again until a signal ends it, or whatever reads it has gone: in place on a
// terminal, whose content it restores, else a block after the other, or a line of JSON. A master that goes
// away is waited for; only when there is none at the first look it returns its exit status.
int run_watch(const Arguments& arguments);

}  // namespace liveswap::cli
