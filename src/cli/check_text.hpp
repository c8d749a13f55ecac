#pragma once

#include <string>

#include "liveswap.hpp"

// The output of `liveswap check`. Pure.
namespace liveswap::cli {

struct TextFormat {
  std::size_t width = 0;  // columns; 0: no wrapping
  bool colour = false;
};

// For people: findings with their advice, output of the library, and the verdict in the last line. Successive
// findings with the same advice show it once.
std::string check_text(const CheckReport& report, TextFormat format);

// For programs, on one line: {"path","result":"ok"|"failed","errors","warnings",
// "findings":[{"level","kind","text","advice"}],"output"}.
std::string check_json(const CheckReport& report);

}  // namespace liveswap::cli
