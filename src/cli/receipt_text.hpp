#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// A receipt (docs/reference/receipt.md) for people: a summary, what went wrong with which worker, and the
// timeline. Pure.
std::string receipt_text(const nlohmann::json& receipt, const Screen& screen);

}  // namespace liveswap::cli
