#pragma once

#include <functional>
#include <string>

#include "base/error.hpp"
#include "cli/arguments.hpp"
#include "liveswap.hpp"

namespace liveswap::cli {

// Options of a master: defaults, overridden by the configuration file, overridden by the command line.
// --listen, --health and --privileged-port replace all from the file; --env and --limit replace those of the
// same name. Relative paths on the command line are resolved against the working directory. Reads the
// configuration file; validates. With a configuration file, the options have config_file and read_config.
Result<Options> start_options(const Arguments& arguments);

// Options::read_config of a start with these arguments, for the configuration file at `path`.
std::function<std::string(const std::string&, Options&)> reader_of(const Arguments& arguments,
                                                                   const std::string& path);

}  // namespace liveswap::cli
