#include "rollout/undone.hpp"

namespace liveswap::rollout {

std::optional<Command> still_due(const Command& command, const Engine& engine) {
  // With the engine's current number of slots: a slot of the old command may exist again, or may still serve
  // during a later shrink. Such a slot needs its sockets.
  if (std::holds_alternative<CloseSlots>(command))
    return CloseSlots{static_cast<unsigned>(engine.slots().size())};
  if (std::holds_alternative<Steer>(command)) return Steer{engine.fork_count()};
  // The next upgrade's preparation has replaced this one.
  if (std::holds_alternative<CancelPrepare>(command) && engine.preparing()) return std::nullopt;
  return command;
}

}  // namespace liveswap::rollout
