#pragma once

#include <optional>
#include <string>

#include "base/error.hpp"
#include "load/options.hpp"

namespace liveswap::load {

// The options of the program liveswap-load.
struct CommandLine : Options {
  bool show_timeline = false;
  std::string json;  // file, "-" for standard output, empty for none
};

// Reads the command line; nothing if the user asked for help.
Result<std::optional<CommandLine>> parse_options(int argc, const char* const* argv);

std::string help_text();

}  // namespace liveswap::load
