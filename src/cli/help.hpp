#pragma once

#include <optional>
#include <string>

#include "cli/command.hpp"

namespace liveswap::cli {

// The text of `liveswap help`, for all commands or one. `width`: columns, at least 40.
std::string help_text(std::optional<Command> command, std::size_t width = 80);

// The text for an empty command line: one line for each command.
std::string usage_text();

// "liveswap 0.1.0".
std::string version_text();

}  // namespace liveswap::cli
