#pragma once

#include "base/error.hpp"
#include "cli/arguments.hpp"
#include "liveswap.hpp"

namespace liveswap::cli {

// The options of a master: the defaults, over them the configuration file, over it the command line. Of
// --listen and --health those of the command line replace all others; of --env and --limit those of the same
// name. Relative paths of the command line become absolute from this process' working directory. Reads the
// configuration file; validated.
Result<Options> start_options(const Arguments& arguments);

}  // namespace liveswap::cli
