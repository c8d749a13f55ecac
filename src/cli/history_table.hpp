#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::cli {

// Short receipts (docs/reference/receipt.md, oldest first) as a table for people. `width`: columns; 0: one
// line for each receipt, of any length. To fit, in this order: paths become file names, ids get shorter,
// reasons wrap in their column, reasons move below their receipt. Reasons are never truncated. Upgrades
// refused before they began follow in a second table. Pure.
std::string history_table(const nlohmann::json& receipts, std::size_t width);

}  // namespace liveswap::cli
