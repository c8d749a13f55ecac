#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace liveswap::release {

// SHA-256 as 64 lower case hex digits. Of a file: of all its bytes from the first, whatever its offset, which
// stays. `shown` is its name in an error, after which errno says why. Blocks on the disk.
Result<std::string> sha256_of_file(int fd, const std::string& shown);
std::string sha256_of(std::string_view bytes);

// Whether `text` is a whole id: 64 lower case hex digits.
bool is_id(std::string_view text);

}  // namespace liveswap::release
