#pragma once

#include <optional>
#include <string>

#include "spawn/spawner.hpp"

namespace liveswap::master {

// What keeps a process that runs as `identity` (none: as this one) from loading or executing what lies at
// `path`, which exists: a directory on the way that it cannot pass through, or a file system that is mounted
// noexec. A sentence that names it and says what to do, `option` being the one that names another place;
// nothing when neither is the case. Only root can ask for another identity. May block on the disk.
std::optional<std::string> obstacle(const std::string& path, const std::optional<Identity>& identity,
                                    const std::string& option);

}  // namespace liveswap::master
