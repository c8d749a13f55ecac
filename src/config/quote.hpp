#pragma once

#include <string>
#include <string_view>

namespace liveswap::config {

// `text` in double quotes for a message: control characters as \xNN, cut with a mark after 80 bytes.
std::string in_quotes(std::string_view text);

}  // namespace liveswap::config
