#pragma once

#include <optional>
#include <string>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// Compares the failed requests that both releases report. Why the new release is worse, for people;
// nullopt: the new one is not, or has answered too few requests to tell. Worse: more than twice the old
// share of failures, and more than 1 % of all requests.
std::optional<std::string> judge_errors(const Served& old_release, const Served& new_release);

}  // namespace liveswap::rollout
