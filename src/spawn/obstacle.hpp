#pragma once

#include <optional>
#include <string>

#include "spawn/spawner.hpp"

namespace liveswap::spawn {

// Finds what keeps a process that runs as `identity` (nullopt: as this process) from loading or executing
// the existing file at `path`: a directory that it cannot enter, or a noexec mount. Returns a sentence with
// the advice to change `option`; nullopt: no obstacle. Only root can check for another identity. May block
// on the disk.
std::optional<std::string> obstacle(const std::string& path, const std::optional<Identity>& identity,
                                    const std::string& option);

}  // namespace liveswap::spawn
