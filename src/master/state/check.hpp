#pragma once

#include "base/error.hpp"
#include "master/state/master_state.hpp"

namespace liveswap::master::state {

// Whether the parts of a state fit together: every number that names a slot, set, endpoint, worker or
// descriptor names one that the state has. The error says which does not. Pure.
Result<void> check(const MasterState& state);

}  // namespace liveswap::master::state
