#pragma once

#include <unistd.h>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// Checks all requirements of a master, for options from any source: command line, file or embedding program.
// Returns the options with a name for every listener (default: its index). The error has one line for each
// problem: `option: found …, expected …`, with options as on the command line. Pure except for the default of
// `user`, the effective user of the master; does not look at files.
Result<Options> validate(Options options, uid_t user = ::geteuid());

}  // namespace liveswap::config
