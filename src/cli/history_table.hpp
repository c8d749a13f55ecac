#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace liveswap::cli {

// Receipts in short (docs/protocol.md), oldest first, for people: a line each. The reason of a failure is cut
// where the line would be longer than `width` columns; 0: never. Pure.
std::string history_table(const nlohmann::json& receipts, std::size_t width);

}  // namespace liveswap::cli
