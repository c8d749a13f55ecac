#include "cli/duration_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace liveswap::cli {

std::string duration_text(std::chrono::milliseconds time) {
  const long long ms = std::max<long long>(time.count(), 0);
  const long long s = ms / 1000;
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (s < 60) return fmt::format("{}.{} s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3600 % 24);
}

}  // namespace liveswap::cli
