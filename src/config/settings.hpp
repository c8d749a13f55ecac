#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "liveswap.hpp"

// Every option that is a single value, once, by its word in the configuration file and on the command line.
namespace liveswap::config {

struct Setting {
  std::string_view name;
  // `directory`, absolute: what a relative path is meant from. The error is about the text alone, as in
  // values.hpp.
  Result<void> (*set)(Options&, const std::string& text, const std::string& directory);
};

std::span<const Setting> settings();

// The setting of that name; nullptr when there is none.
const Setting* find_setting(std::string_view name);

}  // namespace liveswap::config
