#pragma once

#include <string>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// A command in a few words: `spawn 3 in 0: B` (`stage …` where it gets no connections yet), `drain 1 60000`,
// `term 1`, `answer 7 ok`. Notes are `(…)`.
std::string in_words(const Command& command);

// True for what a script does not care about: notes, and answers that nobody waits for.
bool aside(const Command& command);

}  // namespace liveswap::rollout
