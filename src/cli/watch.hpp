#pragma once

#include "cli/arguments.hpp"

namespace liveswap::cli {

// Shows the status repeatedly until a signal arrives or the reader of stdout has gone. On a terminal, redraws
// in place and restores the screen at the end; otherwise prints block after block, or lines of JSON. Waits
// for a master that disappears. Returns an error status only if the first query finds no master.
int run_watch(const Arguments& arguments);

}  // namespace liveswap::cli
