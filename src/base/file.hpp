#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap {

// Reads a small regular file whole. Never blocks on a FIFO or device: anything but a regular file, or one of
// more than `limit` bytes, is an error. `links`: whether the last path component may be a symbolic link.
enum class Links { followed, refused };
Result<std::string> read_small_file(const std::string& path, std::size_t limit,
                                    Links links = Links::followed);

// Replaces a file atomically: temporary file beside the old one, fsync, rename, fsync of the directory. A
// reader, also one after a power failure, finds either the old or the new content, whole. If a step fails,
// the old file stays. May block on the disk.
Result<void> replace_file(const std::string& path, std::string_view content, unsigned mode);

// Makes a directory with mode 0700, and missing parents with 0755. If the path exists, it must be a directory
// (no symbolic link) that belongs to this user or root and has none of the permission bits in `forbidden`.
Result<void> ensure_private_directory(const std::string& path, unsigned forbidden);

// Makes a relative `path` absolute below `base`; removes "." and empty components. Keeps "..", as the
// component before may be a symbolic link.
std::string absolute_path(const std::string& path, const std::string& base);

// The working directory by $PWD, symbolic links included; without a valid $PWD, by getcwd(); "/" if the
// directory has been removed.
std::string current_directory();

}  // namespace liveswap
