#pragma once

#include <string>

#include "base/error.hpp"

namespace liveswap::release {

// The HEAD file: one line with the absolute path of the committed code.

// Reads the path. Errors say what was found: missing, empty, no regular file, unreadable, several lines, a
// relative path.
Result<std::string> read_head(const std::string& file);
// Parses the content; `file`: for errors. Pure.
Result<std::string> parse_head(std::string text, const std::string& file);

// Replaces the file atomically (replace_file() in base/file.hpp). May block on the disk.
Result<void> write_head(const std::string& file, const std::string& path);

}  // namespace liveswap::release
