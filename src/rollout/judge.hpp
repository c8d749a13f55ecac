#pragma once

#include <optional>
#include <string>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Whether a new release answers worse than the old one, by what both count themselves: nothing when it does
// not, or when it has answered too little to tell; else why, for people. Worse is more than twice the old
// share of failed requests and 1 % of all.
std::optional<std::string> judge_errors(const Served& old_release, const Served& new_release);

}  // namespace liveswap::rollout
