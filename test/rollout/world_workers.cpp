#include "world.hpp"

namespace liveswap::rollout {
namespace {

const Departure clean{"", "exit status 0", true};
const Departure crash{"entry", "killed by SIGSEGV", false};

}  // namespace

void World::obey(const Spawn& spawn) {
  const WorkerId id = spawn.worker;
  const Nurture& from = nurture(spawn.release);
  const bool spoiled = spawn.generation == engine_.generation() && dice_.chance(plan_.spoiled);
  const Character character = spoiled ? Character::hopeless : from.character;
  const Nature nature = draw_nature(dice_, plan_, calm_ ? Character::sound : character);
  processes_.emplace(id, Process{nature, from.size, {}, false, false});
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
  if (nature.returns_after) later(*nature.returns_after, [this, id] { give_up(id); });
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

void World::give_up(WorkerId id) {
  if (calm_ || !processes_.count(id)) return;
  rules_.returned(id);
  tell(Cause::worker, "returned", id, [&] { return engine_.returned(now_, id, "it returned"); });
}

void World::exit(WorkerId id, bool cleanly) {
  if (!processes_.erase(id)) return;
  rules_.exited(id);
  tell(Cause::worker, "exited", id, [&] { return engine_.exited(now_, id, cleanly ? clean : crash); });
  if (dice_.chance(5)) haunt(id);
}

// The master may read a worker's frames after reaping it. The engine must ignore these, and events without an
// order.
void World::haunt(WorkerId id) {
  tell(Cause::worker, "entered, too late", id, [&] { return engine_.entered(now_, id, false); });
  tell(Cause::worker, "deferred, too late", id, [&] { return engine_.deferred(now_, id); });
  tell(Cause::worker, "ready, too late", id, [&] { return engine_.ready(now_, id); });
  tell(Cause::worker, "returned, too late", id, [&] { return engine_.returned(now_, id, "late"); });
  tell(Cause::liveness, "answered, too late", id, [&] { return engine_.answered(now_, id); });
  tell(Cause::liveness, "unanswered, too late", id, [&] { return engine_.unanswered(now_, id, "late"); });
  tell(Cause::liveness, "unaskable, too late", id, [&] { return engine_.cannot_be_asked(now_, id); });
  if (!flips_) tell(Cause::worker, "flipped, too late", 0, [&] { return engine_.flipped(now_); });
  tell(Cause::worker, "committed, too late", 0, [&] { return engine_.committed(now_); });
  tell(Cause::worker, "commit failed, too late", 0, [&] { return engine_.commit_failed(now_, "late"); });
  tell(Cause::worker, "exited, too late", id, [&] { return engine_.exited(now_, id, clean); });
}

}  // namespace liveswap::rollout
