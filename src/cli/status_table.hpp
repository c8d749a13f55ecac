#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::cli {

// The status object of docs/protocol.md for people: the master, then a line for each worker. Members that are
// missing or of another type are shown as "?". Pure.
Result<std::string> status_table(std::string_view json);

}  // namespace liveswap::cli
