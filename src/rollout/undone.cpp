#include "rollout/undone.hpp"

namespace liveswap::rollout {

std::optional<Command> still_due(const Command& command, const Engine& engine) {
  // By the engine's current slots: one that was added again needs its sockets, and so does one that still
  // serves during a later shrink.
  if (std::holds_alternative<CloseSlots>(command))
    return CloseSlots{static_cast<unsigned>(engine.slots().size())};
  if (std::holds_alternative<Steer>(command)) return Steer{engine.fork_count()};
  // The next upgrade's preparation has replaced this one.
  if (std::holds_alternative<CancelPrepare>(command) && engine.preparing()) return std::nullopt;
  return command;
}

}  // namespace liveswap::rollout
