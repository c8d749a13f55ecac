#pragma once

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

// Common steps of writing to the store. All block on the disk.
namespace liveswap::release {

// os_fail() with advice if the disk is full or the quota exceeded.
tl::unexpected<Error> disk_fail(const std::string& operation, const std::string& object, int number);

// Opens a directory for sync, lock or openat(). The last component must not be a symbolic link.
Result<UniqueFd> open_directory(const std::string& path);

// Makes a directory with exactly this mode, regardless of the umask, and syncs its parent. An existing one is
// left unchanged.
Result<void> make_directory(const std::string& path, unsigned mode);

// Makes changes of directory entries durable.
Result<void> sync_directory(const std::string& path);

}  // namespace liveswap::release
