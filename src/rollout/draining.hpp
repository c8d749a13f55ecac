#pragma once

#include "rollout/types.hpp"

namespace liveswap::rollout {

// How long a worker drains whose end the way back waits for, and how far apart the steps of force are that
// follow: it has gone after 600 ms at the latest, and its successor serves within a second.
constexpr Time hurried_step{200};

constexpr const char* hurried_in_words =
    "was in the way of its successor, which starts when it has gone (surge 0)";

}  // namespace liveswap::rollout
