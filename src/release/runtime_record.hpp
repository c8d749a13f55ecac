#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::release {

// The runtime with which a script was prepared: the bytes of a script alone do not say what runs. Kept beside
// the release, in a file that is trusted as HEAD is. All functions may block on the disk.
struct RuntimeRecord {
  std::string path;
  std::string version;     // the first line that it prints, for people; may be empty
  std::string sha256;      // of the program's file
  std::string stamp = {};  // of that file when it was hashed: inode, size, times
};

// Hashes the program at `found.path`, unless the record of another release beside has its hash, and writes
// the record of the release in `directory`.
Result<RuntimeRecord> record_runtime(const std::string& directory, RuntimeRecord found);

// What record_runtime() has written; nullopt: nothing, as for a plugin.
std::optional<RuntimeRecord> recorded_runtime(const std::string& directory);

// For people: that another program than then would run the script, `now`, or that the program at that path is
// another file, or is gone. Empty: it is the same. `now`: empty if unknown.
std::string runtime_difference(const RuntimeRecord& then, const std::string& now);

// Whether `name` is that of such a file, and of which release; empty: of none.
std::string release_of_runtime(std::string_view name);

}  // namespace liveswap::release
