#include "plan.hpp"

#include <algorithm>

namespace liveswap::rollout {
namespace {

Time span(Dice& dice, long least, long most) { return Time{dice.between(least, most)}; }

// Everything is short, and of the same order: the less room there is between events, the more of them
// collide.
Settings draw_settings(Dice& dice) {
  Settings settings;
  settings.forks = static_cast<unsigned>(dice.between(1, 5));
  settings.batch = static_cast<unsigned>(dice.between(1, 3));
  settings.surge = dice.chance(50) ? Surge{static_cast<unsigned>(dice.between(0, 3)), false}
                                   : Surge{static_cast<unsigned>(dice.between(0, 4) * 50), true};
  settings.zero_downtime = dice.chance(88);
  settings.settle = dice.chance(20) ? Time{0} : span(dice, 1, 30);
  settings.ready_limit = settings.settle + span(dice, 20, 200);
  settings.drain_limit = span(dice, 1, 200);
  if (dice.chance(10)) settings.drain_limit.reset();
  settings.term_grace = span(dice, 1, 30);
  settings.hook_limit = span(dice, 5, 100);
  settings.probation = dice.chance(50) ? Time{0} : span(dice, 1, 50);
  settings.unsteer = dice.chance(50) ? Time{0} : span(dice, 1, 20);
  settings.backoff_min = span(dice, 1, 20);
  settings.backoff_max = settings.backoff_min + span(dice, 0, 150);
  settings.backoff_reset = span(dice, 20, 200);
  settings.seed = static_cast<std::uint32_t>(dice.roll());
  return settings;
}

Request::Kind draw_kind(Dice& dice, const Plan& plan) {
  if (plan.peaceful || dice.chance(55)) return Request::Kind::upgrade;
  if (dice.chance(45)) return Request::Kind::forks;
  if (dice.chance(75)) return Request::Kind::kill;
  return dice.chance(60) ? Request::Kind::stop : Request::Kind::die;
}

}  // namespace

Plan draw_plan(Dice& dice) {
  Plan plan;
  plan.settings = draw_settings(dice);
  plan.peaceful = dice.chance(40);
  plan.commit_fails = dice.chance(70) ? 0 : 30;
  plan.hook_fails = dice.chance(70) ? 0 : 30;
  plan.hook_hangs = dice.chance(70) ? 0 : 30;
  plan.stubborn = dice.chance(50) ? 0 : 40;
  Time at{0};
  for (long left = dice.between(0, 6); left > 0; --left) {
    at += dice.chance(30) ? span(dice, 0, 5) : span(dice, 0, 300);
    plan.requests.push_back({draw_kind(dice, plan), at, static_cast<unsigned>(dice.between(1, 6))});
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

// One of the ways never to become ready.
void fail_to_start(Nature& nature, Dice& dice) {
  switch (dice.between(1, 5)) {
    case 1:
      nature.can_be_spawned = false;
      break;
    case 2:
      nature.enters_after.reset();
      break;
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
  }
}

void be_stubborn(Nature& nature, Dice& dice, const Settings& settings) {
  nature.leaves_cleanly = dice.chance(50);
  if (settings.drain_limit) nature.leaves_after_drain.reset();
  if (dice.chance(50)) nature.leaves_after_term.reset();
}

}  // namespace

Nature draw_nature(Dice& dice, const Plan& plan, Character character) {
  Nature nature;
  nature.enters_after = span(dice, 0, 15);
  nature.leaves_after_drain = span(dice, 0, dice.chance(30) ? 300 : 40);
  nature.leaves_after_term = span(dice, 0, 20);
  nature.leaves_after_kill = span(dice, 0, 3);
  switch (dice.between(1, 4)) {
    case 1:
      break;  // settles
    case 2:
      nature.ready_after = span(dice, 0, 40);
      break;
    case 3:
      nature.defers_at_entry = true;
      [[fallthrough]];
    case 4:
      if (!nature.defers_at_entry) nature.defers_after = span(dice, 0, 10);
      // A sound worker is ready within its limit: what is left of it after entering.
      nature.ready_after =
          span(dice, 0, std::max(0L, static_cast<long>(plan.settings.ready_limit.count()) - 16));
      break;
  }
  if (dice.chance(plan.stubborn)) be_stubborn(nature, dice, plan.settings);
  if (character == Character::mortal && dice.chance(50)) nature.dies_after = span(dice, 0, 300);
  if (character == Character::hopeless || (character == Character::fickle && dice.chance(40)))
    fail_to_start(nature, dice);
  return nature;
}

}  // namespace liveswap::rollout
