#pragma once

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace liveswap::master {

// Starts the keeper, which goes on as no child of this process, and returns the connection. Blocks until the
// keeper has made its socket in the state directory: some milliseconds.
Result<UniqueFd> start_keeper(const std::string& program, const std::string& state_dir);

}  // namespace liveswap::master
