#include "schedule.hpp"

#include <algorithm>
#include <ostream>

#include "world.hpp"

namespace liveswap::rollout {
namespace {

// The longest time that any request may take: each slot as slow as possible, one after the other, forward and
// back. Workers without a drain limit exit by themselves within 300. One upgrade may wait for another. Bake
// and probation end with a good probe or two bad ones. Hung workers are replaced one after the other, and not
// too often.
Time patience(const Settings& s) {
  const Time slot = s.ready_limit + std::max(Time{300}, s.drain_limit.value_or(Time{300})) + 4 * s.term_grace;
  const Time trial = Time{60} + (s.health ? Time{400} : Time{0});
  const Time hung = s.liveness_failures == 0
                        ? Time{0}
                        : s.first_answer + s.replacement.window + s.replacement.longest_pause +
                              8 * (s.ready_limit + Time{50});
  return 2 * (hung + s.prepare_limit + 2 * trial + s.unsteer + 2 * s.backoff_max + 4 * 8 * slot);
}

// Runs until `over`, or until no event is left. Throws if that takes longer than `limit`.
template <typename Over>
void run(World& world, Time limit, const char* rule, Over over) {
  const Time end = world.now() + limit;
  while (!over() && world.step())
    if (world.now() > end) throw Violation(rule);
}

void stop(World& world, Dice& dice, Time limit) {
  using Kind = Request::Kind;
  Request request;
  request.kind = dice.chance(30) ? Kind::die : Kind::stop;
  world.request(request);
  request.kind = Kind::stop;
  if (dice.chance(30)) world.request_at(Time{dice.between(0, 100)}, request);
  run(world, limit, "a stop ends", [&] { return world.quit(); });
}

}  // namespace

void play(std::uint64_t seed, std::ostream* trace) {
  Dice dice(seed);
  const Plan plan = draw_plan(dice);
  if (trace) *trace << "seed " << seed << ": forks " << plan.settings.forks << '\n';
  World world(plan, dice, trace);
  world.boot();
  Time last{0};
  for (const Request& request : plan.requests) {
    world.request_at(request.at, request);
    last = request.at;
  }
  const Time limit = patience(plan.settings);
  run(world, last + limit, "everybody gets an answer in bounded time",
      [&] { return world.quit() || world.requests_done(); });
  if (!world.quit()) {
    if (trace) *trace << "    (calm)\n";
    world.calm_down();
    run(world, limit, "the world comes to rest", [&] { return world.quit(); });
  }
  if (!world.quit()) {
    world.rules().judge_rest();
    stop(world, dice, limit);
  }
  if (!world.quit()) throw Violation("the master quits");
  run(world, limit, "after quitting nothing happens", [] { return false; });
}

}  // namespace liveswap::rollout
