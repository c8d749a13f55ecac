#pragma once

#include <optional>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

// The master carries out a command that an exception has cut off a moment later, and the engine may have gone
// on meanwhile: `forks` may have grown, another upgrade may be in preparation. What is to be done by now in
// place of that command; nothing: it would do harm. Pure.
std::optional<Command> still_due(const Command& command, const Engine& engine);

}  // namespace liveswap::rollout
