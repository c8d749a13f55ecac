#pragma once

#include "rollout/types.hpp"

namespace liveswap::rollout {

// On the way back (revert or rollback) without surge, a slot waits for the old worker to exit. That worker
// gets this drain limit, and the steps of force follow at this interval: the worker is gone within 600 ms,
// and a successor serves within a second.
constexpr Time hurried_step{200};

constexpr const char* hurried_in_words = "kept its successor from starting (surge 0)";

}  // namespace liveswap::rollout
