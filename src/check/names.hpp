#pragma once

#include <string_view>
#include <vector>

namespace liveswap::checks {

// Whether this function shows how a server works: interposed by the worker host, or one that starts
// processes, asks about drains, or belongs to liburing.
bool is_server_function(std::string_view name);
// Whether this function can block a thread, or end main() while other threads continue.
bool can_block(std::string_view name);
// The functions interposed by the worker host, as in src/worker/worker.list.
const std::vector<std::string_view>& interposed_functions();

}  // namespace liveswap::checks
