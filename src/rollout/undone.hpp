#pragma once

#include <optional>

#include "rollout/engine.hpp"

namespace liveswap::rollout {

// An exception can interrupt the master while it carries out a command; the master retries later. Meanwhile
// the engine may have moved on (`forks` has grown, another upgrade prepares). The command to carry out now
// instead; nullopt: it would do harm. Pure.
std::optional<Command> still_due(const Command& command, const Engine& engine);

}  // namespace liveswap::rollout
