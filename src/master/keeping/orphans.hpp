#pragma once

#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "liveswap.hpp"
#include "master/state/master_state.hpp"

namespace liveswap::master {

// What a killed master has left: its state, with the descriptors that the value names and owns, and the
// connection to the keeper.
struct Orphans {
  state::MasterState state;
  UniqueFd keeper;
};

// Asks the keeper of the state directory (protocol::connect_keeper()) for what a killed master has left.
// nullopt: nothing. An error: something is there, but not this instance's, or damaged. Everything that comes
// is checked. Blocks, for some seconds at most. The caller holds the instance's lock.
Result<std::optional<Orphans>> take_orphans(UniqueFd link, const Options& options);

// Has the keeper leave, so that the workers drain; and waits until it has. Blocks, for some seconds at most.
void let_orphans_leave(const Options& options);

}  // namespace liveswap::master
