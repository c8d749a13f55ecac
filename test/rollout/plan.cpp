#include "plan.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

Time span(Dice& dice, long least, long most) { return Time{dice.between(least, most)}; }

Amount draw_surge(Dice& dice, bool some) {
  const long least = some ? 1 : 0;
  return dice.chance(50) ? Amount{static_cast<unsigned>(dice.between(least, 3)), false}
                         : Amount{static_cast<unsigned>(dice.between(least, 4) * 50), true};
}

Pace draw_pace(Dice& dice, bool some_surge) {
  Pace pace;
  if (dice.chance(60)) pace.batch = static_cast<unsigned>(dice.between(1, 3));
  pace.surge = draw_surge(dice, some_surge);
  if (dice.chance(40))
    pace.canary = dice.chance(50) ? Amount{static_cast<unsigned>(dice.between(1, 6)), false}
                                  : Amount{static_cast<unsigned>(dice.between(1, 120)), true};
  pace.bake = dice.chance(20) ? Time{0} : span(dice, 1, 60);
  pace.probation = dice.chance(50) ? Time{0} : span(dice, 1, 50);
  pace.flip = dice.chance(30);
  // Most flips get a possible combination.
  if (pace.flip && dice.chance(90)) pace.canary = {};
  if (pace.flip && dice.chance(80)) pace.surge = {static_cast<unsigned>(dice.between(100, 200)), true};
  return pace;
}

void draw_liveness(Settings& settings, Dice& dice) {
  settings.liveness_failures = static_cast<unsigned>(dice.between(1, 3));
  settings.first_answer = span(dice, 0, 30);
  ReplacementPace& pace = settings.replacement;
  pace.window = span(dice, 20, 200);
  pace.first_pause = span(dice, 5, 50);
  pace.longest_pause = pace.first_pause + span(dice, 0, 100);
  pace.row_ends_after = pace.longest_pause + span(dice, 0, 100);
}

// All times are short and similar: the closer events are, the more of them coincide.
Settings draw_settings(Dice& dice, bool peaceful) {
  Settings settings;
  static_cast<Pace&>(settings) = draw_pace(dice, peaceful);
  settings.forks = static_cast<unsigned>(dice.chance(90) ? dice.between(1, 5) : dice.between(6, 16));
  settings.processors = static_cast<unsigned>(dice.between(1, 4));
  settings.zero_downtime = dice.chance(88);
  if (dice.chance(50))
    settings.max_draining = dice.chance(50) ? Amount{static_cast<unsigned>(dice.between(1, 9)), false}
                                            : Amount{static_cast<unsigned>(dice.between(100, 200)), true};
  settings.health = dice.chance(40);
  // A worker has a size of 5 to 15.
  if (dice.chance(35))
    settings.max_memory =
        static_cast<std::uint64_t>(settings.forks * 10 + dice.between(0, settings.forks * 20));
  settings.settle = dice.chance(20) ? Time{0} : span(dice, 1, 30);
  settings.ready_limit = settings.settle + span(dice, 20, 200);
  settings.drain_limit = span(dice, 1, 200);
  if (dice.chance(10)) settings.drain_limit.reset();
  settings.term_grace = span(dice, 1, 30);
  settings.prepare_limit = span(dice, 5, 100);
  settings.unsteer = dice.chance(50) ? Time{0} : span(dice, 1, 20);
  settings.backoff_min = span(dice, 1, 20);
  settings.backoff_max = settings.backoff_min + span(dice, 0, 150);
  settings.backoff_reset = span(dice, 20, 200);
  if (dice.chance(50)) draw_liveness(settings, dice);
  settings.seed = static_cast<std::uint32_t>(dice.roll());
  return settings;
}

Request::Kind draw_kind(Dice& dice, bool peaceful) {
  if (dice.chance(60)) return Request::Kind::upgrade;
  if (peaceful || dice.chance(40)) return dice.chance(50) ? Request::Kind::promote : Request::Kind::abort;
  if (dice.chance(50)) return Request::Kind::forks;
  if (dice.chance(75)) return Request::Kind::kill;
  return dice.chance(60) ? Request::Kind::stop : Request::Kind::die;
}

Request draw_request(Dice& dice, const Plan& plan, Time at) {
  Request request;
  request.kind = draw_kind(dice, plan.peaceful);
  request.at = at;
  request.forks = static_cast<unsigned>(dice.between(1, 6));
  request.pace = dice.chance(50) ? Pace(plan.settings) : draw_pace(dice, plan.peaceful);
  request.stored = dice.chance(30);
  request.queue = dice.chance(35);
  request.overtake = dice.chance(15);
  return request;
}

unsigned now_and_then(Dice& dice, unsigned per_cent) { return dice.chance(70) ? 0 : per_cent; }

}  // namespace

Plan draw_plan(Dice& dice) {
  Plan plan;
  plan.peaceful = dice.chance(40);
  plan.settings = draw_settings(dice, plan.peaceful);
  plan.prepares_boot = dice.chance(30);
  plan.commit_fails = now_and_then(dice, 30);
  plan.prepare_fails = now_and_then(dice, 30);
  plan.prepare_hangs = now_and_then(dice, 30);
  plan.probe_fails = now_and_then(dice, static_cast<unsigned>(dice.between(10, 80)));
  plan.counts_badly = now_and_then(dice, 10);
  plan.spoiled = now_and_then(dice, static_cast<unsigned>(dice.between(20, 100)));
  plan.hanging = dice.chance(30) ? 0 : static_cast<unsigned>(dice.between(10, 80));
  plan.stubborn = dice.chance(50) ? 0 : 40;
  Time at{0};
  for (long left = dice.between(0, 7); left > 0; --left) {
    at += dice.chance(50) ? span(dice, 0, 40) : span(dice, 0, 300);
    plan.requests.push_back(draw_request(dice, plan, at));
  }
  return plan;
}

Character draw_character(Dice& dice, const Plan& plan) {
  const long drawn = dice.between(1, 100);
  if (drawn <= 50) return Character::sound;
  if (drawn <= 65) return plan.peaceful ? Character::sound : Character::mortal;
  return drawn <= 85 ? Character::fickle : Character::hopeless;
}

namespace {

// Chooses one way of never becoming ready.
void fail_to_start(Nature& nature, Dice& dice) {
  switch (dice.between(1, 6)) {
    case 1: nature.can_be_spawned = false; break;
    case 2: nature.enters_after.reset(); break;
    case 3:
      nature.enters_after.reset();
      nature.dies_after = span(dice, 0, 30);
      break;
    case 4:
      nature.defers_at_entry = true;
      nature.ready_after.reset();
      break;
    case 5:
      nature.defers_at_entry = true;
      nature.ready_after.reset();
      nature.dies_after = span(dice, 0, 60);
      break;
    case 6:
      nature.defers_at_entry = true;
      nature.ready_after.reset();
      nature.returns_after = span(dice, 0, 40);
      break;
  }
}

void be_stubborn(Nature& nature, Dice& dice, const Settings& settings) {
  nature.leaves_cleanly = dice.chance(50);
  if (settings.drain_limit) nature.leaves_after_drain.reset();
  if (dice.chance(50)) nature.leaves_after_term.reset();
}

void draw_hang(Nature& nature, Dice& dice) {
  nature.can_be_asked = !dice.chance(5);
  nature.hangs_after = span(dice, 0, dice.chance(30) ? 20 : 300);
  if (dice.chance(30)) nature.hangs_for = span(dice, 1, 100);
}

}  // namespace

Nature draw_nature(Dice& dice, const Plan& plan, Character character) {
  Nature nature;
  nature.enters_after = span(dice, 0, 15);
  nature.leaves_after_drain = span(dice, 0, dice.chance(30) ? 300 : 40);
  nature.leaves_after_term = span(dice, 0, 20);
  nature.leaves_after_kill = span(dice, 0, 3);
  switch (dice.between(1, 4)) {
    case 1: break;  // ready by the settle time
    case 2: nature.ready_after = span(dice, 0, 40); break;
    case 3: nature.defers_at_entry = true; [[fallthrough]];
    case 4:
      if (!nature.defers_at_entry) nature.defers_after = span(dice, 0, 10);
      // A sound worker is ready within the ready limit, which began before its entry.
      nature.ready_after =
          span(dice, 0, std::max(0L, static_cast<long>(plan.settings.ready_limit.count()) - 16));
      break;
  }
  if (dice.chance(plan.stubborn)) be_stubborn(nature, dice, plan.settings);
  if (dice.chance(plan.hanging)) draw_hang(nature, dice);
  if (character == Character::mortal && dice.chance(40)) nature.dies_after = span(dice, 0, 300);
  if (character == Character::mortal && dice.chance(15)) nature.returns_after = span(dice, 0, 200);
  if (character == Character::hopeless || (character == Character::fickle && dice.chance(40)))
    fail_to_start(nature, dice);
  return nature;
}

}  // namespace liveswap::rollout
