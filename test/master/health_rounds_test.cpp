#include "master/health/health_rounds.hpp"

#include "test_loop.hpp"

using namespace liveswap::master;
using liveswap::test::TestLoop;
namespace rollout = liveswap::rollout;
namespace config = liveswap::config;
using rollout::Time;

namespace {

rollout::Settings one_slot() {
  rollout::Settings settings;
  settings.forks = 1;
  settings.health = true;
  settings.probation = Time{600'000};
  return settings;
}

// An engine with one slot, and its health rounds. The probe's address has no listener, so a probe fails
// without a connection. `served` has the workers' counts.
struct World {
  TestLoop loop;
  rollout::Engine engine{one_slot()};
  HealthRounds::Counts served;
  std::set<rollout::WorkerId> counting{1, 2};
  std::set<rollout::WorkerId> asked;  // ever
  std::vector<HealthRounds::Sums> sums;
  unsigned probed = 0;
  HealthRounds rounds{
      loop,
      engine,
      Milliseconds{10},
      [this](Prober::Done done) {
        return std::make_unique<Prober>(loop, std::vector{*config::parse_health("http=connect")},
                                        std::vector<Listeners::Bound>{}, liveswap::spawn::Request{},
                                        Milliseconds{1'000}, std::move(done));
      },
      {[this](const std::set<rollout::WorkerId>& workers, const auto& done) {
         HealthRounds::Counts counts;
         for (const auto id : workers) counts[id] = served[id];
         asked.insert(workers.begin(), workers.end());
         done(counts);
       },
       [this](const HealthRounds::Counts&, const HealthRounds::Sums& found) { sums.push_back(found); },
       [this](const rollout::Probe& found) { probed += found.failed; },
       [this](rollout::WorkerId id) { return counting.contains(id); }}};

  void boot() {
    rollout::UpgradeRequest request;
    request.path = "A";
    request.release = rollout::Release{"A", "a"};
    engine.boot(Time{0}, request);
    engine.entered(Time{0}, 1, false);
    engine.ready(Time{0}, 1);
    engine.committed(Time{0});
    rounds.follow();
    REQUIRE(engine.running());
  }
  void upgrade() {
    rollout::UpgradeRequest request;
    request.path = "B";
    request.pace.probation = Time{600'000};
    engine.upgrade(Time{10}, 7, request);
    rounds.follow();
  }
};

}  // namespace

TEST_CASE("health rounds: none while the engine judges nothing") {
  World world;
  world.boot();
  CHECK_FALSE(world.loop.has_timer());
  CHECK(world.sums.empty());
}

TEST_CASE("health rounds: the old release is probed before an upgrade is prepared") {
  World world;
  bool prepared = false;
  world.rounds.before_preparation([&] { prepared = true; });
  CHECK(prepared);  // there is nothing to probe before the start
  prepared = false;
  world.boot();
  world.upgrade();
  world.rounds.before_preparation([&] { prepared = true; });
  CHECK_FALSE(prepared);
  CHECK(world.loop.until([&] { return prepared; }));
  CHECK(world.probed == 1);
  CHECK(world.sums.empty());
}

TEST_CASE("health rounds: a preparation that is cancelled is not begun") {
  World world;
  world.boot();
  world.upgrade();
  bool prepared = false;
  world.rounds.before_preparation([&] { prepared = true; });
  world.rounds.cancel();
  CHECK_FALSE(world.loop.has_timer());
  CHECK_FALSE(prepared);
}

TEST_CASE("health rounds: while an upgrade is judged, with what each release has served since then") {
  World world;
  world.boot();
  world.upgrade();
  world.served[1] = {100, 5};
  world.engine.prepared(Time{20}, {"B", "b"});
  world.engine.entered(Time{20}, 2, false);
  world.engine.ready(Time{20}, 2);
  world.rounds.follow();
  REQUIRE(std::string(world.engine.phase()) == "probation");
  world.served[2] = {7, 1};
  REQUIRE(world.loop.until([&] { return world.probed > 1 && world.sums.size() > 1; }));
  CHECK(world.sums.back().fresh.requests == 7);
  CHECK(world.sums.back().fresh.failed == 1);
  CHECK(world.sums.back().before.requests == 0);

  world.engine.abort(Time{30}, 8);
  world.rounds.follow();
  CHECK_FALSE(world.loop.has_timer());
}

TEST_CASE(
    "health rounds: a worker that counts no requests is not asked, and counts as one that served none") {
  World world;
  world.counting.clear();
  world.boot();
  world.upgrade();
  world.engine.prepared(Time{20}, {"B", "b"});
  world.rounds.follow();
  REQUIRE(std::string(world.engine.phase()) == "rolling");
  REQUIRE(world.loop.until([&] { return !world.sums.empty(); }));
  CHECK(world.asked.empty());
  CHECK(world.sums.back().before.requests == 0);

  // From now on it counts: its first requests are those since the engine began to judge.
  world.counting.insert(1);
  world.served[1] = {3, 1};
  const auto before = world.sums.size();
  REQUIRE(world.loop.until([&] { return world.sums.size() > before; }));
  CHECK(world.asked == std::set<rollout::WorkerId>{1});
  CHECK(world.sums.back().before.requests == 3);
  CHECK(world.sums.back().before.failed == 1);
}
