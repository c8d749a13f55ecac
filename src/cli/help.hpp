#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"

namespace liveswap::cli {

// What `liveswap help` prints: everything, or the part of one command. At most `width` columns, 40 or more.
std::string help_text(std::optional<Command> command, std::size_t width = 80);

// For a command line with nothing on it: the commands, a line each.
std::string usage_text();

// "liveswap 0.1.0".
std::string version_text();

}  // namespace liveswap::cli
