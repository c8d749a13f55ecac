#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::cli {

// Receipts in short (docs/reference/receipt.md), oldest first, for people. No word of a reason is ever left
// out. A line a receipt, `width` 0: however long. Where lines would be longer than `width` columns, in this
// order: paths become names of files, ids get shorter, reasons are broken into lines in their column, then
// below their receipt. Upgrades that were refused before they began stand in a table of their own, below.
// Pure.
std::string history_table(const nlohmann::json& receipts, std::size_t width);

}  // namespace liveswap::cli
