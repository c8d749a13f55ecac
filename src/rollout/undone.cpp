#include "rollout/undone.hpp"

namespace liveswap::rollout {

std::optional<Command> still_due(const Command& command, const Engine& engine) {
  // The slots that the engine has: a slot that has come back needs its sockets, and so does one that a later
  // shrink lets serve on.
  if (std::holds_alternative<CloseSlots>(command))
    return CloseSlots{static_cast<unsigned>(engine.slots().size())};
  if (std::holds_alternative<Steer>(command)) return Steer{engine.fork_count()};
  // It would cancel the next upgrade's preparation, which has ended this one's.
  if (std::holds_alternative<CancelPrepare>(command) && engine.preparing()) return std::nullopt;
  return command;
}

}  // namespace liveswap::rollout
