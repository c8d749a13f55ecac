#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

// The status object of docs/reference/control-protocol.md for people: the master, then the workers
// (worker_table.hpp). Members that are missing or of another type are shown as "?". `options`: how the
// instance is addressed, for the commands that are hinted at (client::options_of). Pure.
Result<std::string> status_table(std::string_view json, const std::string& options, const Screen& screen);

}  // namespace liveswap::cli
