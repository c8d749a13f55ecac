#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

// Slot 0 runs release B in worker 3, which has replaced worker 1; worker 4 is to replace worker 2 in slot 1.
Script half_way(Settings with = settings(2)) {
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  script.ready(3);
  return script;
}

}  // namespace

TEST_CASE("revert: a first successor that crashes ends the upgrade, and no old worker was touched") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.crashed(3) == "answer 7 reverted");
  CHECK(script.answer_text() == "slot 0, stage entry: killed by SIGSEGV");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.engine().release().id == "A");
  CHECK(script.next() == -1);

  // The failed generation's number is not used again.
  script.upgrade(8);
  script.prepared("B");
  script.ready(4);
  script.ready(5);
  script.committed();
  CHECK(script.engine().generation() == 3);
}

TEST_CASE("revert: a successor that returns at once has failed, however cleanly") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.entered(2);
  CHECK(script.returned(2) == "answer 7 reverted");
  CHECK(script.answer_text() == "slot 0, stage start: exit status 0");
}

TEST_CASE(
    "revert: switched slots go back by turns, new before old; the answer waits for the failed workers") {
  Script script = half_way();
  CHECK(script.crashed(4) == "spawn 5 in 0: A");
  CHECK(script.engine().state() == std::string("reverting"));
  CHECK(script.returned(1) == "");
  CHECK(script.ready(5) == "drain 3 60000");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.returned(3) == "answer 7 reverted");
  CHECK(script.answer_text() == "slot 1, stage entry: killed by SIGSEGV");
  CHECK(script.engine().release().id == "A");
  CHECK(script.engine().generation() == 1);
}

TEST_CASE("revert: the ready limit; what was accepted by then has a short time to be finished") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  SUBCASE("it has entered") {
    script.entered_deferred(2);
    CHECK(script.pass(Time{30'000}) == "+30000 drain 2 5000");
    CHECK(script.pass(Time{10'000}) == "+5000 revoke 2, +7000 term 2, +9000 kill 2");
    CHECK(script.crashed(2) == "answer 7 reverted");
    CHECK(script.answer_text() == "slot 0, stage ready: it was not ready within 30000 ms");
  }
  SUBCASE("it is still loading: it holds nothing") {
    CHECK(script.pass(Time{30'000}) == "+30000 kill 2");
    CHECK(script.crashed(2) == "answer 7 reverted");
  }
}

TEST_CASE("revert: an unproven worker gets no longer than a proven one would") {
  auto with = settings(1);
  with.drain_limit = Time{1'000};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  script.entered_deferred(2);
  CHECK(script.pass(Time{30'000}) == "+30000 drain 2 1000");
}

TEST_CASE("revert: a crash after ready and before the commit") {
  auto with = settings(2);
  SUBCASE("while others have their turn") {
    Script script = half_way(with);
    script.returned(1);
    CHECK(script.crashed(3) == "kill 4, spawn 5 in 0: A");
    script.crashed(4);
    CHECK(script.ready(5) == "answer 7 reverted");
    CHECK(script.answer_text() == "slot 0, stage run: killed by SIGSEGV");
  }
  SUBCASE("in probation") {
    with.probation = Time{1'000};
    Script script = half_way(with);
    script.returned(1);
    CHECK(script.ready(4) == "drain 2 60000");
    script.returned(2);
    CHECK(script.pass(Time{999}) == "");
    CHECK(script.crashed(4) == "spawn 5 in 1: A, spawn 6 in 0: A");
    CHECK(script.ready(6) == "drain 3 60000");
    CHECK(script.ready(5) == "");
    CHECK(script.returned(3) == "answer 7 reverted");
  }
}

TEST_CASE("revert: a HEAD that cannot be written") {
  Script script = half_way();
  script.returned(1);
  CHECK(script.ready(4) == "drain 2 60000, commit B");
  script.returned(2);
  CHECK(script.commit_failed("cannot write HEAD") == "spawn 5 in 0: A");
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: A");
  CHECK(script.ready(6) == "drain 4 60000");
  script.returned(3);
  CHECK(script.returned(4) == "answer 7 reverted");
  CHECK(script.answer_text() == "cannot write HEAD");
  CHECK(script.engine().release().id == "A");
}

TEST_CASE("revert: a preparation that fails touches nobody") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  CHECK(script.prepare_failed("b.so: undefined symbol: frobnicate") == "answer 7 reverted");
  CHECK(script.answer_text() == "b.so: undefined symbol: frobnicate");
  CHECK(script.engine().state() == std::string("running"));
}

TEST_CASE("revert: a preparation that takes too long is cancelled, and what it says later is not heard") {
  auto with = settings(1);
  with.prepare_limit = Time{3'000};
  Script script = Script::booted(with);
  script.upgrade(7);
  CHECK(script.pass(Time{3'000}) == "+3000 cancel, +3000 answer 7 reverted");
  CHECK(script.prepared("B") == "");
  CHECK(script.prepare_failed("late") == "");
  CHECK(script.committed() == "");
  CHECK(script.commit_failed("late") == "");
  CHECK(script.next() == -1);
}

TEST_CASE("revert: a second upgrade is refused until the slots are back") {
  Script script = half_way();
  script.crashed(4);
  CHECK(script.upgrade(8) == "answer 8 refused");
  CHECK(script.answer_text() == "a failed upgrade to B is being reverted");
  script.returned(1);
  script.ready(5);
  CHECK(script.upgrade(9) == "prepare b.so");
}

TEST_CASE("revert: an old release that does not start any more leaves the failed workers in service") {
  Script script = half_way();
  script.returned(1);
  CHECK(script.crashed(4) == "spawn 5 in 0: A");
  CHECK(script.crashed(5) == "spawn 6 in 0: A");
  CHECK(script.crashed(6) == "");
  const std::string more = script.pass(Time{150});
  CHECK(more.find("spawn 7 in 0: A") != std::string::npos);
  script.entered_deferred(7);
  SUBCASE("it starts at last") {
    CHECK(script.ready(7) == "drain 3 60000");
    CHECK(script.returned(3) == "answer 7 reverted");
  }
  SUBCASE("whoever asked does not wait for ever") {
    CHECK(script.pass(Time{29'900}) == "");
    CHECK(script.ready(7) == "drain 3 60000");
  }
}

TEST_CASE("revert: whoever asked does not wait for ever, and the way back goes on as ordinary respawn") {
  Script script = half_way();
  script.returned(1);
  script.crashed(4);
  std::string said;
  for (int second = 0; second < 120; ++second) {
    if (const WorkerId newest = script.engine().workers().rbegin()->first; newest > 4) script.crashed(newest);
    said = script.pass(Time{1'000});
  }
  CHECK(said == "+1000 answer 7 reverted");
  CHECK(script.answer_text().find("not every slot is back") != std::string::npos);
  CHECK(script.engine().state() == std::string("running"));

  script.pass(Time{40'000});
  const WorkerId newest = script.engine().workers().rbegin()->first;
  SUBCASE("to its end") { CHECK(script.ready(newest) == "drain 3 60000"); }
  SUBCASE(
      "even while the next upgrade rolls, so that nothing of the failed one is left when that fails too") {
    script.upgrade(8);
    script.prepared("C");
    CHECK(script.ready(newest).find("drain 3 60000") == 0);
  }
}

TEST_CASE("revert: a slot in backoff does not hold up another one's way back") {
  auto with = settings(2);
  with.probation = Time{10'000};
  with.surge = {5, false};
  Script script = half_way(with);
  script.ready(4);
  CHECK(script.crashed(3) == "spawn 5 in 0: A, spawn 6 in 1: A");
  CHECK(script.crashed(5) == "spawn 7 in 0: A");
  CHECK(script.crashed(7) == "");
  CHECK(script.crashed(6) == "spawn 8 in 1: A");
  CHECK(script.ready(8) == "drain 4 60000");
}
