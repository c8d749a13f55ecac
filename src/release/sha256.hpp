#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::release {

// SHA-256 as 64 lower-case hex digits. sha256_of_file() hashes the whole file and leaves the offset alone.
// `shown`: name in errors. Blocks on the disk.
Result<std::string> sha256_of_file(int fd, const std::string& shown);
std::string sha256_of(std::string_view bytes);

// Reads the whole file and forgets it.
Result<void> read_whole(int fd, const std::string& shown);

// Whether `text` is 64 lower-case hex digits.
bool is_id(std::string_view text);

}  // namespace liveswap::release
