#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap {

// The whole of a small regular file. Never blocks on a FIFO or device: anything but a regular file, and one
// of more than `limit` bytes, is an error that says what was found. `links`: whether the last component may
// be a symbolic link.
enum class Links { followed, refused };
Result<std::string> read_small_file(const std::string& path, std::size_t limit,
                                    Links links = Links::followed);

// Replaces a file so that a reader, and a machine that loses power, finds the old content or the new one,
// whole: temporary file beside it, fsync, rename, fsync of the directory. The old file stays when any step
// fails. May block on the disk.
Result<void> replace_file(const std::string& path, std::string_view content, unsigned mode);

// Makes a directory with mode 0700 (and those above it with 0755), or checks that what is there is a
// directory, owned by this user or root, with none of the permissions in `forbidden`. A symbolic link as last
// component is refused.
Result<void> ensure_private_directory(const std::string& path, unsigned forbidden);

// `path`, made absolute from `base` when it is relative, without "." and empty components. ".." stays: a
// component before it may be a link.
std::string absolute_path(const std::string& path, const std::string& base);

// The working directory as the user has gone there, links included ($PWD, where it names this directory);
// without $PWD the one without links; "/" when it has been removed.
std::string current_directory();

}  // namespace liveswap
