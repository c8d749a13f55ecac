#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// The most files that a release's directory may have.
inline constexpr std::size_t files_limit = 1000;

// The seal of a tree (tree/tree_store.hpp). A tree may have more files than the master's loop should look at:
// liveswap-store compares them with the stamps that it keeps (tree/known_files.hpp). This seal says only that
// the tree was hashed once.
inline constexpr const char* tree_seal = "tree";

// A text of all files below a release's directory: name, device, inode, size, mtime and ctime in nanoseconds;
// of a file with fs-verity (verity.hpp) name and digest.
// If the seal is the same as when the files were hashed, their content has not changed, since no program can
// set ctime back. Takes microseconds; hashing 100 MiB takes 0.3 s. An error: the directory is unreadable or
// has more than `files_limit` files.
Result<std::string> seal_of(const std::string& directory);

}  // namespace liveswap::release
