#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "liveswap.hpp"
#include "test/support/sanitized.hpp"

namespace liveswap::test {

using Level = CheckFinding::Level;

inline CheckReport checked(const std::string& path, CheckOptions options = {}) {
  options.worker_host = WORKER_HOST;
  return check(path, options);
}

inline std::string listed(const std::vector<CheckFinding>& findings) {
  std::string text;
  for (const CheckFinding& finding : findings)
    text += std::to_string(static_cast<int>(finding.level)) + " " + finding.kind + ": " + finding.text +
            " > " + finding.advice + "\n";
  return text;
}

// The number of findings with this level and kind and this text.
inline std::size_t count(const std::vector<CheckFinding>& findings, Level level, std::string_view kind,
                         std::string_view part = {}) {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const CheckFinding& finding) {
        return finding.level == level && finding.kind == kind && finding.text.find(part) != std::string::npos;
      }));
}

}  // namespace liveswap::test
