#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

// The status object (docs/reference/control-protocol.md) for people: master, then workers (worker_table.hpp).
// Missing members become "?". `options`: those that address the instance, for commands in hints
// (client::options_of). Pure.
Result<std::string> status_table(std::string_view json, const std::string& options, const Screen& screen);

}  // namespace liveswap::cli
