#pragma once

#include <string>

#include "liveswap.hpp"

// What `liveswap check` prints. Pure.
namespace liveswap::cli {

struct Paper {
  std::size_t width = 0;  // columns; 0: lines are not broken
  bool colour = false;
};

// For people: the findings, what to do below each (once where it is the same for several), what the library
// wrote, and a last line with the verdict.
std::string check_text(const CheckReport& report, Paper paper);

// One JSON object on one line:
// {"path","result":"ok"|"failed","errors","warnings","findings":[{"level","kind","text",
// "advice"}],"output"}.
std::string check_json(const CheckReport& report);

}  // namespace liveswap::cli
