#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "liveswap.hpp"

namespace liveswap::config {

// The largest file, in bytes.
inline constexpr std::size_t file_limit = std::size_t{1024} * 1024;

// Overrides `options` with those in the configuration file. A key with a list or map replaces the old value
// as a whole. To let the command line win, apply its options afterwards.
//
// The file must be regular, UTF-8 and at most 1 MiB. Relative paths are resolved against the directory of the
// file. The error has one line for each mistake: `path:line:column: …`. Checks single values; validate()
// checks combinations.
Result<Options> load_yaml(const std::string& path, Options options);
// The same for the content of the file. `path`: for errors; `directory`: absolute, of the file. Pure.
Result<Options> parse_yaml(const std::string& text, const std::string& path, const std::string& directory,
                           Options options);

// All valid keys.
std::vector<std::string_view> key_names();

}  // namespace liveswap::config
