#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dice.hpp"
#include "rollout/types.hpp"

namespace liveswap::rollout {

// What a worker is going to do, decided at its birth. Spans count from the moment before them; nothing means
// never.
struct Nature {
  bool can_be_spawned = true;
  std::optional<Time> enters_after{Time{0}};
  bool defers_at_entry = false;
  std::optional<Time> defers_after;   // entry
  std::optional<Time> ready_after;    // entry
  std::optional<Time> dies_after;     // birth
  std::optional<Time> returns_after;  // entry: from liveswap_main, before its process ends
  std::optional<Time> leaves_after_drain{Time{0}};
  bool leaves_cleanly = true;
  std::optional<Time> leaves_after_term{Time{0}};
  Time leaves_after_kill{0};
};

// What the workers of a release have in common.
enum class Character {
  sound,    // starts, and lives until it is told to leave
  mortal,   // starts, and may die at any time
  fickle,   // some of its workers fail before they are ready
  hopeless  // none of its workers becomes ready
};

struct Request {
  enum class Kind { upgrade, promote, abort, kill, forks, stop, die } kind = Kind::upgrade;
  Time at{0};
  unsigned forks = 0;
  // Of upgrades:
  Pace pace;
  bool stored = false;  // a release of the store: needs no preparation
  bool queue = false;
  bool overtake = false;
};

// One random schedule: the settings, what is asked for and when, and how unkind the world is.
struct Plan {
  Settings settings;
  std::vector<Request> requests;
  bool prepares_boot = false;
  // Nothing but upgrades is asked for, each with surge, and nobody who is ready dies: the capacity must never
  // suffer.
  bool peaceful = false;
  unsigned commit_fails = 0;  // per cent
  unsigned hook_fails = 0;
  unsigned hook_hangs = 0;
  unsigned probe_fails = 0;
  unsigned counts_badly = 0;
  unsigned spoiled = 0;   // workers of the committed release that do not start any more
  unsigned stubborn = 0;  // workers that do not leave when they are told to
};

Plan draw_plan(Dice& dice);
Character draw_character(Dice& dice, const Plan& plan);
Nature draw_nature(Dice& dice, const Plan& plan, Character character);

}  // namespace liveswap::rollout
