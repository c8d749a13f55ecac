#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap {

// Removes a directory with everything in it, also directories to which nobody may write, as in a release; or
// a file. Follows no symbolic link. Not there: nothing to do.
Result<void> remove_tree(const std::string& path);

}  // namespace liveswap
