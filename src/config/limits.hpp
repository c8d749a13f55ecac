#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace liveswap::config {

// Names of resource limits, and their constants for setrlimit().
inline constexpr std::array<std::string_view, 8> limit_names{"nofile", "core",    "as",  "nproc",
                                                             "stack",  "memlock", "cpu", "fsize"};
inline constexpr std::array<int, limit_names.size()> limit_resources{
    RLIMIT_NOFILE, RLIMIT_CORE,    RLIMIT_AS,  RLIMIT_NPROC,
    RLIMIT_STACK,  RLIMIT_MEMLOCK, RLIMIT_CPU, RLIMIT_FSIZE};

constexpr std::optional<int> resource_of(std::string_view name) {
  const auto found = std::find(limit_names.begin(), limit_names.end(), name);
  if (found == limit_names.end()) return std::nullopt;
  return limit_resources[static_cast<std::size_t>(found - limit_names.begin())];
}

}  // namespace liveswap::config
