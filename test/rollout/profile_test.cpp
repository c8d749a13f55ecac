// The settings of workers' processes: the engine commits and reverts their number with the generation.
#include <doctest/doctest.h>

#include <vector>

#include "rollout/engine.hpp"

using namespace liveswap::rollout;

namespace {

constexpr Time start{1'000'000};

// An engine with one slot that runs release A, and the workers that it has ordered.
class OneSlot {
 public:
  OneSlot() : engine_(settings()) {
    UpgradeRequest boot;
    boot.release = release_;
    take(engine_.boot(start, boot));
    make_ready(1);
    take(engine_.committed(start));
    REQUIRE(engine_.running());
  }

  void reload(Profile profile) {
    UpgradeRequest request;
    request.release = release_;
    request.profile = profile;
    take(engine_.upgrade(start, 7, request));
  }
  void upgrade() {
    UpgradeRequest request;
    request.release = Release{"b.so", "B"};
    take(engine_.upgrade(start, 8, request));
  }
  void make_ready(WorkerId worker) {
    take(engine_.entered(start, worker, true));
    take(engine_.ready(start, worker));
  }
  void commit() { take(engine_.committed(start)); }
  void crash(WorkerId worker) { take(engine_.exited(start, worker, {"run", "killed by SIGSEGV"})); }
  void configure(const Settings& settings) { engine_.configure(settings); }

  const std::vector<Spawn>& spawned() const { return spawned_; }
  const Engine& engine() const { return engine_; }

  static Settings settings() {
    Settings settings;
    settings.forks = 1;
    return settings;
  }

 private:
  void take(const Commands& commands) {
    for (const auto& command : commands)
      if (const auto* spawn = std::get_if<Spawn>(&command)) spawned_.push_back(*spawn);
  }

  const Release release_{"a.so", "A"};
  Engine engine_;
  std::vector<Spawn> spawned_;
};

}  // namespace

TEST_CASE("profile: a new generation has it, and so have respawns from the commit on") {
  OneSlot slot;
  CHECK(slot.spawned().back().profile == 0);
  slot.reload(3);
  REQUIRE(slot.spawned().size() == 2);
  CHECK(slot.spawned().back().profile == 3);
  CHECK(slot.spawned().back().release.id == "A");
  CHECK(slot.engine().profile() == 0);
  slot.make_ready(2);
  slot.commit();
  CHECK(slot.engine().profile() == 3);
  slot.crash(2);
  REQUIRE(slot.spawned().size() == 3);
  CHECK(slot.spawned().back().profile == 3);
}

TEST_CASE(
    "profile: a respawn of the committed generation keeps its own while another rolls, and after a revert") {
  OneSlot slot;
  slot.reload(3);
  slot.crash(1);
  REQUIRE(slot.spawned().size() == 3);
  CHECK(slot.spawned().back().profile == 0);
  slot.crash(2);
  CHECK(slot.engine().profile() == 0);
  slot.crash(3);
  CHECK(slot.spawned().back().profile == 0);
}

TEST_CASE("profile: an upgrade goes on with the committed one") {
  OneSlot slot;
  slot.reload(3);
  slot.make_ready(2);
  slot.commit();
  slot.upgrade();
  CHECK(slot.spawned().back().release.id == "B");
  CHECK(slot.spawned().back().profile == 3);
}

TEST_CASE("configure: new limits hold for later workers; the number of slots stays") {
  OneSlot slot;
  auto settings = OneSlot::settings();
  settings.forks = 5;
  settings.ready_limit = Time{70};
  slot.configure(settings);
  CHECK(slot.engine().fork_count() == 1);
  slot.crash(1);
  CHECK(slot.engine().fork_count() == 1);
  CHECK(slot.engine().workers().at(2).deadline == start + Time{70});
}
