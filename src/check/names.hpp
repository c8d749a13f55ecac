#pragma once

#include <string_view>

namespace liveswap::checks {

// Whether this function shows how a server works (names.cpp).
bool is_server_function(std::string_view name);
// Whether this function can block a thread, or end main() while other threads continue.
bool can_block(std::string_view name);

}  // namespace liveswap::checks
