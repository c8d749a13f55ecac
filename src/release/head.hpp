#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// The HEAD file: one line with the absolute path of the code that is committed, which is what a restart would
// run.

// The path it names. Errors say what was found: missing, empty, no regular file, unreadable, more than one
// line, a relative path.
Result<std::string> read_head(const std::string& file);
// The same of its content; `file` is for errors. Pure.
Result<std::string> parse_head(std::string text, const std::string& file);

// Replaces it whole, or leaves the old one as it was (base/file.hpp: replace_file). May block on the disk.
Result<void> write_head(const std::string& file, const std::string& path);

}  // namespace liveswap::release
