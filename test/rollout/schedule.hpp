#pragma once

#include <cstdint>
#include <iosfwd>

namespace liveswap::rollout {

// Plays the random schedule of a seed from boot to quit. Throws a Violation when a rule is broken; `trace`,
// when there is one, gets every event and what was ordered because of it.
void play(std::uint64_t seed, std::ostream* trace = nullptr);

}  // namespace liveswap::rollout
