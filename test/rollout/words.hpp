#pragma once

#include <string>

#include "rollout/types.hpp"

namespace liveswap::rollout {

// A command in words: `spawn 3 in 0: B` (`stage …`: it gets no connections yet), `drain 1 60000`, `term 1`,
// `answer 7 ok`. Notes are `(…)`.
std::string in_words(const Command& command);

// True for commands that scripts ignore: notes, and answers without a request.
bool aside(const Command& command);

}  // namespace liveswap::rollout
