#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "liveswap.hpp"

// All options of a single value, by their name in the configuration file and on the command line.
namespace liveswap::config {

struct Setting {
  std::string_view name;
  // `directory`: absolute; the base of a relative path. Errors are as in values.hpp.
  Result<void> (*set)(Options&, const std::string& text, const std::string& directory);
};

std::span<const Setting> settings();

// The setting with that name; nullptr: none.
const Setting* find_setting(std::string_view name);

}  // namespace liveswap::config
