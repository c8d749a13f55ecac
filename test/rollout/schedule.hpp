#pragma once

#include <cstdint>
#include <iosfwd>

namespace liveswap::rollout {

// Plays the random schedule of a seed, from boot to quit. Throws a Violation when a rule is broken. `trace`,
// if not null, gets every event and the orders that follow from it.
void play(std::uint64_t seed, std::ostream* trace = nullptr);

}  // namespace liveswap::rollout
