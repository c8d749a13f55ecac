#pragma once

#include <chrono>
#include <string>

namespace liveswap::cli {

// "340 ms", "1.2 s", "3 min 5 s", "2 h 3 min", "4 d 2 h". A negative time counts as 0.
std::string duration_text(std::chrono::milliseconds time);

}  // namespace liveswap::cli
