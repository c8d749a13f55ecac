#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// The slots of a receipt over time, at most screen.width columns, ASCII except for colour:
//
//                   preparing |rolling            |leaving
//                   3 ms      |11 ms              |19 ms
//   slot 0  old 101 ==========================-------]
//           new 111           ...#########################
//
//   . starting  = old code  # new code  - draining  ] left
//
// One row for each worker. If there are too many slots, shows those with problems and the first others. Empty
// if the receipt has no slots. Pure.
std::string timeline(const nlohmann::json& receipt, const Screen& screen);

}  // namespace liveswap::cli
