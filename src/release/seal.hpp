#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// A text of all files below a release's directory: name, device, inode, size, mtime and ctime in nanoseconds.
// If the seal is the same as when the files were hashed, their content has not changed, since no program can
// set ctime back. Takes microseconds; hashing 100 MiB takes 0.3 s. An error: the directory is unreadable or
// has more than 1,000 files.
Result<std::string> seal_of(const std::string& directory);

}  // namespace liveswap::release
