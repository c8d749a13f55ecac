#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::spawn {

// The first IP address of a host that a stream socket can listen on, as text without brackets. Blocks on a
// name service.
Result<std::string> find_host(const std::string& name);

}  // namespace liveswap::spawn
