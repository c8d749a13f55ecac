#pragma once

#include <optional>
#include <string>

#include "base/error.hpp"
#include "spawn/spawner.hpp"

namespace liveswap::spawn {

// The user and group that workers run as, by name or number; nullopt: both are empty. May block on a name
// service.
Result<std::optional<Identity>> find_identity(const std::string& user, const std::string& group);

}  // namespace liveswap::spawn
