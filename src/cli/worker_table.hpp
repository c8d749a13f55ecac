#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// The slots of a status object (docs/reference/control-protocol.md) for people: one line for each worker, or
// a paragraph on narrow screens; then the paths of the releases and the reasons of the last restarts. Pure.
std::string worker_table(const nlohmann::json& status, const Screen& screen);

}  // namespace liveswap::cli
