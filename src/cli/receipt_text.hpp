#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// A receipt (docs/reference/receipt.md) for people: summary, problems of workers, timeline. Pure.
std::string receipt_text(const nlohmann::json& receipt, const Screen& screen);

}  // namespace liveswap::cli
