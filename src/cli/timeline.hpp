#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/terminal.hpp"

namespace liveswap::cli {

// The slots of a receipt over time as a picture, at most screen.width columns, ASCII but for colour:
//
//                   preparing |rolling            |leaving
//                   3 ms      |11 ms              |19 ms
//   slot 0  old 101 ==========================-------]
//           new 111           ...#########################
//
//   . starting  = old code  # new code  - draining  ] left
//
// A row a worker; of very many slots those with trouble and the first ones. Empty when the receipt has no
// slots. Pure.
std::string timeline(const nlohmann::json& receipt, const Screen& screen);

}  // namespace liveswap::cli
