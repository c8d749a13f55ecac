#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

Pace canary(liveswap::Amount amount) {
  Pace pace;
  pace.canary = amount;
  pace.bake = Time{30'000};
  return pace;
}

// Three slots; worker 4 of release B is the canary in slot 0, and bakes. Worker 1 has exited.
Script baking(Pace pace = canary({1, false})) {
  Script script = Script::booted(settings(3));
  script.roll(7, pace);
  script.ready(4);
  script.returned(1);
  return script;
}

}  // namespace

TEST_CASE("canary: so many slots first, then the bake, then the others") {
  Script script = Script::booted(settings(3));
  CHECK(script.roll(7, canary({1, false})) == "spawn 4 in 0: B");
  CHECK(script.engine().phase() == std::string("rolling"));
  CHECK(script.ready(4) == "drain 1 60000");
  CHECK(script.engine().phase() == std::string("baking"));
  CHECK(script.engine().state() == std::string("upgrading"));
  CHECK(script.notes().back().kind == NoteKind::baking);
  CHECK(script.engine().phase_end());
  CHECK(script.returned(1) == "");
  CHECK(script.pass(Time{29'999}) == "");
  CHECK(script.pass(Time{1}) == "+1 spawn 5 in 1: B");
  CHECK_FALSE(script.engine().phase_end());
  CHECK(script.ready(5) == "drain 2 60000, spawn 6 in 2: B");
  CHECK(script.ready(6) == "drain 3 60000, commit B");
}

TEST_CASE("canary: its own slots have their turns by batch, and a share is rounded up") {
  Script script = Script::booted(settings(5));
  Pace pace;
  SUBCASE("a number") { pace = canary({2, false}); }
  SUBCASE("a per cent") { pace = canary({21, true}); }
  SUBCASE("as many at once as a batch, but no more than the canary") {
    pace = canary({2, false});
    pace.batch = 5;
  }
  const std::string first = script.roll(7, pace);
  CHECK(first == (!pace.batch ? "spawn 6 in 0: B" : "spawn 6 in 0: B, spawn 7 in 1: B"));
  CHECK(script.ready(6) == (!pace.batch ? "drain 1 60000, spawn 7 in 1: B" : "drain 1 60000"));
  CHECK(script.engine().phase() == std::string("rolling"));
  CHECK(script.ready(7) == "drain 2 60000");
  CHECK(script.engine().phase() == std::string("baking"));
}

TEST_CASE("canary: of more slots than there are is no canary, and nothing is touched") {
  Script script = Script::booted(settings(3));
  CHECK(script.upgrade(7, file(canary({50, false}))) == "answer 7 refused");
  CHECK(script.answer_text() == "a canary of 50, but there are 3 slots; was 50% meant?");
  CHECK(script.upgrade(8, file(canary({101, false}))) == "answer 8 refused");
  CHECK(script.answer_text() == "a canary of 101, but there are 3 slots");
  CHECK(script.upgrade(9, file(canary({3, false}))) == "prepare b.so");
}

TEST_CASE("canary: what fitted when it was asked for may not when its turn comes") {
  Script script = Script::booted(settings(1));
  script.forks(7, 2);
  UpgradeRequest wish = file(canary({2, false}));
  wish.queue = true;
  CHECK(script.upgrade(8, wish) == "");
  CHECK(script.crashed(2) == "steer below 1, close from 1, answer 7 failed, answer 8 refused");
  CHECK(script.engine().state() == std::string("running"));
}

TEST_CASE("canary: of all slots: all bake, then all are on probation") {
  Script script = Script::booted(settings(2));
  Pace pace = canary({2, false});
  SUBCASE("as many as there are") {}
  SUBCASE("a hundred per cent") { pace.canary = {100, true}; }
  pace.probation = Time{10};
  CHECK(script.roll(7, pace) == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "drain 1 60000, spawn 4 in 1: B");
  CHECK(script.ready(4) == "drain 2 60000");
  CHECK(script.pass(Time{30'000}) == "");
  CHECK(script.engine().phase() == std::string("probation"));
  CHECK(script.pass(Time{10}) == "+10 commit B");
}

TEST_CASE("canary: without a bake nothing is waited for") {
  Pace pace = canary({1, false});
  pace.bake = Time{0};
  SUBCASE("some") {
    Script script = Script::booted(settings(2));
    script.roll(7, pace);
    CHECK(script.ready(3) == "drain 1 60000, spawn 4 in 1: B");
  }
  SUBCASE("all: the upgrade ends by itself") {
    Script script = Script::booted(settings(1));
    script.roll(7, pace);
    CHECK(script.ready(2) == "drain 1 60000, commit B");
  }
}

TEST_CASE("canary: none of nobody") {
  Script script = Script::booted(settings(2));
  CHECK(script.roll(7, canary({0, true})) == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "drain 1 60000, spawn 4 in 1: B");
}

TEST_CASE("canary: a crash while it bakes reverts, and the others have never been touched") {
  Script script = baking();
  CHECK(script.crashed(4) == "spawn 5 in 0: A");
  CHECK(script.engine().state() == std::string("reverting"));
  CHECK(script.ready(5) == "answer 7 reverted");
  CHECK(script.answer_text() == "slot 0, stage run: killed by SIGSEGV");
  CHECK(script.engine().release().id == "A");
  CHECK(script.next() == -1);
}

TEST_CASE("canary: one that crashes before it is ready ends it") {
  Script script = Script::booted(settings(2));
  script.roll(7, canary({1, false}));
  CHECK(script.crashed(3) == "answer 7 reverted");
}

TEST_CASE("canary: an old worker that dies meanwhile is replaced by the committed release") {
  Script script = baking();
  CHECK(script.crashed(2) == "spawn 5 in 1: A");
  CHECK(script.ready(5) == "");
  CHECK(script.pass(Time{30'000}) == "+30000 spawn 6 in 1: B");
  CHECK(script.ready(6) == "drain 5 60000, spawn 7 in 2: B");
}

TEST_CASE("canary: promote ends the bake") {
  Script script = baking();
  CHECK(script.promote(8) == "answer 8 ok, spawn 5 in 1: B");
  CHECK(script.answer_text() == "the bake is over, the other slots follow");
  CHECK(script.promote(9) == "answer 9 refused");
  CHECK(script.answer_text() == "no upgrade is baking or in probation");
  script.ready(5);
  CHECK(script.ready(6) == "drain 3 60000, commit B");
}

TEST_CASE("canary: promote of one that has all slots") {
  Script script = Script::booted(settings(1));
  script.roll(7, canary({1, false}));
  script.ready(2);
  CHECK(script.promote(8) == "answer 8 ok, commit B");
}

TEST_CASE("canary: abort reverts at once") {
  Script script = baking();
  CHECK(script.abort(8) == "spawn 5 in 0: A");
  CHECK(script.abort(9) == "answer 9 refused");
  CHECK(script.answer_text() == "a failed upgrade to B is being reverted");
  CHECK(script.ready(5) == "drain 4 60000");
  CHECK(script.returned(4) == "answer 7 reverted, answer 8 ok");
  CHECK(script.engine().release().id == "A");
}

TEST_CASE("canary: without surge the old one leaves first, in the canary too") {
  auto with = settings(2);
  Pace pace = canary({1, false});
  pace.surge = {0, false};
  Script script = Script::booted(with);
  CHECK(script.roll(7, pace) == "drain 1 60000");
  CHECK(script.returned(1) == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "");
  CHECK(script.pass(Time{30'000}) == "+30000 drain 2 60000");
}

TEST_CASE("canary: without zero downtime only its slots are killed at first") {
  auto with = settings(3);
  with.zero_downtime = false;
  Script script = Script::booted(with);
  CHECK(script.roll(7, canary({2, false})) == "term 1, spawn 4 in 0: B, term 2, spawn 5 in 1: B");
  script.crashed(1);
  script.crashed(2);
  script.ready(4);
  CHECK(script.ready(5) == "");
  CHECK(script.pass(Time{30'000}) == "+30000 term 3, +30000 spawn 6 in 2: B");
}

TEST_CASE("canary: the pace is that of the upgrade, not of the next one") {
  auto with = settings(2);
  with.canary = {1, false};
  Script script = Script::booted(with);
  Pace plain;
  plain.batch = 2;
  CHECK(script.roll(7, plain) == "spawn 3 in 0: B, spawn 4 in 1: B");
  script.ready(3);
  script.ready(4);
  script.committed();
  script.returned(1);
  script.returned(2);
  script.upgrade(8);
  CHECK(script.prepared("C") == "spawn 5 in 0: C");
  script.ready(5);
  CHECK(script.engine().phase() == std::string("baking"));
}
