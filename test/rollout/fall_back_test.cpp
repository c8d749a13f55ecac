// What the master does by itself when the bytes of the committed release have changed.
#include "rollout/fall_back.hpp"

#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

const Release committed{"A", "A"};

// The bytes have changed, and an earlier release is sound.
Examined differs() {
  Examined found;
  found.kind = Examined::Kind::differs;
  found.text = "libapp.so is not what was committed";
  found.earlier = Release{"/earlier.so", "0123456789abcdef"};
  return found;
}

// "stay", "no way back", or the release that the master goes back to.
std::string decision(FallBack& fall_back, const Script& script, const Examined& found,
                     const Release& release = committed) {
  const auto decided = fall_back.decide(script.engine(), release, found, Pace{});
  if (std::holds_alternative<FallBack::Stay>(decided)) return "stay";
  if (std::holds_alternative<FallBack::NoWayBack>(decided)) return "no way back";
  return std::get<UpgradeRequest>(decided).path;
}

}  // namespace

TEST_CASE("fall back: to the nearest sound release, at once, and the answer says why") {
  Script script = Script::booted(settings(2));
  FallBack fall_back;
  Pace pace;
  pace.batch = 2;
  const auto decided = fall_back.decide(script.engine(), committed, differs(), pace);
  const auto* request = std::get_if<UpgradeRequest>(&decided);
  REQUIRE(request);
  CHECK(request->release == differs().earlier);
  CHECK(request->overtake);
  CHECK(request->pace.batch == 2);
  CHECK(request->remark == "release A could not be respawned: libapp.so is not what was committed");
  CHECK(fall_back.tried() == std::set<std::string>{"0123456789abcdef"});
  CHECK(script.upgrade(7, *request) == "spawn 3 in 0: 0123456789abcdef, spawn 4 in 1: 0123456789abcdef");
}

TEST_CASE("fall back: a release that was rolled back from is named as one") {
  Script script = Script::booted(settings(1));
  FallBack fall_back;
  auto found = differs();
  found.left = true;
  const auto decided = fall_back.decide(script.engine(), committed, found, Pace{});
  CHECK(std::get<UpgradeRequest>(decided).remark.find("although it was rolled back from") !=
        std::string::npos);
}

TEST_CASE("fall back: not for bytes that are sound, or of which nothing is known") {
  Script script = Script::booted(settings(1));
  FallBack fall_back;
  for (const auto kind : {Examined::Kind::sound, Examined::Kind::unknown}) {
    auto found = differs();
    found.kind = kind;
    CHECK(decision(fall_back, script, found) == "stay");
  }
  auto found = differs();
  found.unsure = true;
  CHECK(decision(fall_back, script, found) == "stay");
}

TEST_CASE("fall back: not where something else replaces the release") {
  FallBack fall_back;
  Script script = Script::booted(settings(1));
  CHECK(decision(fall_back, script, differs(), {"B", "B"}) == "stay");
  script.upgrade(7);
  CHECK(decision(fall_back, script, differs()) == "stay");
  script.prepare_failed("no such file");
  CHECK(decision(fall_back, script, differs()) == "/earlier.so");
  script.stop(8);
  CHECK(decision(fall_back, script, differs()) == "stay");
}

TEST_CASE("fall back: while an upgrade reverts, whose slots cannot go back otherwise") {
  FallBack fall_back;
  Script script = Script::booted(settings(2));
  Pace one_by_one;
  one_by_one.surge = liveswap::Amount{0, false};
  script.roll(7, one_by_one);
  script.returned(1);
  script.crashed(3);
  REQUIRE(script.engine().reverting());
  CHECK(decision(fall_back, script, differs()) == "/earlier.so");
}

TEST_CASE("fall back: that there is no way back is said once for each release") {
  FallBack fall_back;
  Script script = Script::booted(settings(1));
  auto found = differs();
  found.earlier.reset();
  CHECK(decision(fall_back, script, found) == "no way back");
  CHECK(decision(fall_back, script, found) == "stay");
  fall_back.committed(true);
  CHECK(decision(fall_back, script, found) == "no way back");
}

TEST_CASE("fall back: what it has tried is forgotten when somebody else commits a release") {
  FallBack fall_back;
  Script script = Script::booted(settings(1));
  decision(fall_back, script, differs());
  fall_back.committed(true);
  CHECK(fall_back.tried().size() == 1);
  fall_back.committed(false);
  CHECK(fall_back.tried().empty());
}

TEST_CASE("fall back: a rollback that is refused says what can be done instead") {
  Examined found;
  CHECK(way_out(found) == ": try again");
  found = differs();
  CHECK(way_out(found) == "; `liveswap rollback 0123456789ab` goes to /earlier.so, which is sound");
  found.earlier.reset();
  CHECK(way_out(found) == "; no release before it in the store is sound");
  found.unsure = true;
  CHECK(way_out(found) == ": try again");
}
