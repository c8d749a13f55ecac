#include "world.hpp"

namespace liveswap::rollout {
namespace {

const Departure clean{"", "exit status 0", true};
const Departure crash{"entry", "killed by SIGSEGV", false};

}  // namespace

Character World::character(const std::string& release) {
  if (calm_) return Character::sound;
  const auto it = characters_.find(release);
  return it != characters_.end() ? it->second
                                 : characters_.emplace(release, draw_character(dice_, plan_)).first->second;
}

void World::obey(const Spawn& spawn) {
  const WorkerId id = spawn.worker;
  const Process process{spawn.release, draw_nature(dice_, plan_, character(spawn.release))};
  const Nature& nature = process.nature;
  processes_.emplace(id, process);
  if (!nature.can_be_spawned) {
    later(Time{0}, [this, id] { exit(id, false); });
    return;
  }
  if (nature.enters_after) later(*nature.enters_after, [this, id] { enter(id); });
  if (nature.dies_after)
    later(*nature.dies_after, [this, id] {
      if (!calm_) exit(id, dice_.chance(20));
    });
}

void World::obey(const Drain& drain) {
  const Nature& nature = processes_.at(drain.worker).nature;
  exit_later(drain.worker, nature.leaves_after_drain, nature.leaves_cleanly);
}

void World::obey(const Signal& signal) {
  const Nature& nature = processes_.at(signal.worker).nature;
  exit_later(signal.worker, signal.kill ? nature.leaves_after_kill : nature.leaves_after_term, false);
}

void World::exit_later(WorkerId id, const std::optional<Time>& span, bool clean) {
  if (span) later(*span, [this, id, clean] { exit(id, clean); });
}

void World::enter(WorkerId id) {
  const auto it = processes_.find(id);
  if (it == processes_.end()) return;
  const Nature nature = it->second.nature;
  if (nature.defers_after) later(*nature.defers_after, [this, id] { defer(id); });
  if (nature.ready_after) later(*nature.ready_after, [this, id] { say_ready(id); });
  rules_.entered(now_, id, nature.defers_at_entry);
  tell(Cause::worker, "entered", id, [&] { return engine_.entered(now_, id, nature.defers_at_entry); });
}

void World::defer(WorkerId id) {
  if (!processes_.count(id)) return;
  rules_.deferred(id);
  tell(Cause::worker, "deferred", id, [&] { return engine_.deferred(now_, id); });
}

void World::say_ready(WorkerId id) {
  if (!processes_.count(id)) return;
  rules_.said_ready(id);
  tell(Cause::worker, "ready", id, [&] { return engine_.ready(now_, id); });
}

void World::exit(WorkerId id, bool cleanly) {
  if (!processes_.erase(id)) return;
  rules_.exited(id);
  tell(Cause::worker, "exited", id, [&] { return engine_.exited(now_, id, cleanly ? clean : crash); });
  if (dice_.chance(5)) haunt(id);
}

// What a worker has written may be read after it has been reaped.
void World::haunt(WorkerId id) {
  tell(Cause::worker, "entered, too late", id, [&] { return engine_.entered(now_, id, false); });
  tell(Cause::worker, "deferred, too late", id, [&] { return engine_.deferred(now_, id); });
  tell(Cause::worker, "ready, too late", id, [&] { return engine_.ready(now_, id); });
  tell(Cause::worker, "exited, too late", id, [&] { return engine_.exited(now_, id, clean); });
}

}  // namespace liveswap::rollout
