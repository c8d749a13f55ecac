#pragma once

#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

// Steps of writing that are the same everywhere in the store.
namespace liveswap::release {

// os_fail() that says what to do when the disk is full or the quota is used up.
tl::unexpected<Error> disk_fail(const std::string& operation, const std::string& object, int number);

// A directory to sync, lock or open files in; a link as last component is refused.
Result<UniqueFd> open_directory(const std::string& path);

// Makes one directory, durably, with exactly this mode, whatever the umask; one that is there already stays
// as it is.
Result<void> make_directory(const std::string& path, unsigned mode);

// What was made, renamed or removed in a directory survives a loss of power once this has returned.
Result<void> sync_directory(const std::string& path);

}  // namespace liveswap::release
