#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// The slots of a status object (docs/reference/control-protocol.md) for people: a line for each worker, a
// paragraph where the screen is too narrow for columns; then which releases these are, and why slots were
// last restarted. Pure.
std::string worker_table(const nlohmann::json& status, const Screen& screen);

}  // namespace liveswap::cli
