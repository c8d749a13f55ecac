#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dice.hpp"
#include "rollout/types.hpp"

namespace liveswap::rollout {

// The behaviour of a worker, drawn at its birth. Times count from the event in the comment; nothing means
// never.
struct Nature {
  bool can_be_spawned = true;
  std::optional<Time> enters_after{Time{0}};
  bool defers_at_entry = false;
  std::optional<Time> defers_after;   // entry
  std::optional<Time> ready_after;    // entry
  std::optional<Time> dies_after;     // birth
  std::optional<Time> returns_after;  // entry; liveswap_main returns, and the process still runs
  std::optional<Time> leaves_after_drain{Time{0}};
  bool leaves_cleanly = true;
  std::optional<Time> leaves_after_term{Time{0}};
  Time leaves_after_kill{0};
  // Liveness checks:
  bool can_be_asked = true;
  std::optional<Time> hangs_after;  // readiness
  std::optional<Time> hangs_for;    // its beginning to hang
};

// The behaviour that the workers of a release have in common.
enum class Character {
  sound,    // starts, and lives until it is told to exit
  mortal,   // starts, and may die at any time
  fickle,   // some of its workers fail before they are ready
  hopeless  // none of its workers becomes ready
};

struct Request {
  enum class Kind { upgrade, promote, abort, kill, forks, stop, die } kind = Kind::upgrade;
  Time at{0};
  unsigned forks = 0;
  // Upgrades only:
  Pace pace;
  bool stored = false;  // a release of the store, which needs no preparation
  bool queue = false;
  bool overtake = false;
};

// One random schedule: the settings, the requests with their times, and how often the world misbehaves.
struct Plan {
  Settings settings;
  std::vector<Request> requests;
  bool prepares_boot = false;
  // All requests are upgrades with surge, and no ready worker dies: then the capacity must never fall.
  bool peaceful = false;
  unsigned commit_fails = 0;  // this and all below: per cent
  unsigned prepare_fails = 0;
  unsigned prepare_hangs = 0;
  unsigned probe_fails = 0;
  unsigned counts_badly = 0;
  unsigned spoiled = 0;   // workers of the committed release that cannot start any more
  unsigned stubborn = 0;  // workers that do not exit when they are told to
  unsigned hanging = 0;   // workers that hang when they have served for a while
};

Plan draw_plan(Dice& dice);
Character draw_character(Dice& dice, const Plan& plan);
Nature draw_nature(Dice& dice, const Plan& plan, Character character);

}  // namespace liveswap::rollout
