#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"

namespace liveswap::cli {

// What --help prints: everything, or the part of one command. At most 100 columns.
std::string help_text(std::optional<Command> command);

// "liveswap 0.1.0".
std::string version_text();

}  // namespace liveswap::cli
