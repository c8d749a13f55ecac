#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

Pace flip(unsigned batch = 1) {
  Pace pace;
  pace.batch = batch;
  pace.flip = true;
  return pace;
}

// Two slots; workers 3 and 4 of release B are ready and get no connections; the engine has ordered the Flip.
Script flipping(Pace pace = flip(2), Settings with = settings(2)) {
  Script script = Script::booted(with);
  script.roll(7, pace);
  script.ready(3);
  script.ready(4);
  return script;
}

}  // namespace

TEST_CASE("flip: all successors are ready before any gets a connection; then the old ones drain at once") {
  Script script = Script::booted(settings(2));
  CHECK(script.roll(7, flip()) == "stage 3 in 0: B");
  CHECK(script.engine().workers().at(3).staged);
  CHECK(script.ready(3) == "stage 4 in 1: B");
  CHECK(script.engine().workers().at(3).state == WorkerState::ready);
  CHECK(script.engine().phase() == std::string("rolling"));
  CHECK(script.ready(4) == "flip");
  CHECK(script.engine().phase() == std::string("flipping"));
  CHECK_FALSE(script.engine().workers().at(3).staged);
  CHECK(script.engine().workers().at(1).staged);
  CHECK(script.engine().workers().at(1).state == WorkerState::ready);
  CHECK(script.next() == -1);
  CHECK(script.flipped() == "drain 1 60000, drain 2 60000, commit B");
  CHECK(script.committed() == "");
  CHECK(script.returned(1) == "");
  CHECK(script.returned(2) == "answer 7 ok");
}

TEST_CASE("flip: batch, probation and promote are as ever") {
  Pace pace = flip(2);
  pace.probation = Time{1'000};
  Script script = Script::booted(settings(2));
  CHECK(script.roll(7, pace) == "stage 3 in 0: B, stage 4 in 1: B");
  script.ready(3);
  script.ready(4);
  CHECK(script.promote(8) == "answer 8 refused");
  CHECK(script.flipped() == "drain 1 60000, drain 2 60000");
  CHECK(script.engine().phase() == std::string("probation"));
  SUBCASE("its length") { CHECK(script.pass(Time{1'000}) == "+1000 commit B"); }
  SUBCASE("promote") { CHECK(script.promote(9) == "answer 9 ok, commit B"); }
}

TEST_CASE("flip: needs room for a successor beside every worker, and no canary") {
  Script script = Script::booted(settings(3));
  Pace pace = flip();
  SUBCASE("a number too small") { pace.surge = {2, false}; }
  SUBCASE("a share too small") { pace.surge = {60, true}; }
  SUBCASE("none") { pace.surge = {0, false}; }
  SUBCASE("a canary") { pace.canary = {1, false}; }
  CHECK(script.upgrade(7, file(pace)) == "answer 7 refused");
  CHECK(script.answer_text() ==
        (pace.canary.value ? "a flip and a canary exclude each other: a canary serves beside the old release"
                           : "a flip needs a successor beside every worker: surge 100%"));
  pace.canary = {};
  pace.surge = {67, true};
  CHECK(script.upgrade(8, file(pace)) == "prepare b.so");
}

TEST_CASE("flip: without zero downtime all are replaced at one moment anyway") {
  auto with = settings(2);
  with.zero_downtime = false;
  Script script = Script::booted(with);
  CHECK(script.roll(7, flip()) == "term 1, spawn 3 in 0: B, term 2, spawn 4 in 1: B");
  script.ready(3);
  CHECK(script.ready(4) == "commit B");
}

TEST_CASE("flip: who still drains from before takes no room") {
  Script script = Script::booted(settings(1));
  script.roll(7, {});
  script.ready(2);
  script.committed();
  CHECK(script.roll(8, flip(), "C") == "stage 3 in 0: C");
  CHECK(script.returned(1) == "answer 7 ok");
}

TEST_CASE("flip: an old worker that dies meanwhile is replaced where the connections are") {
  Script script = Script::booted(settings(2));
  script.roll(7, flip());
  SUBCASE("its successor is staged") {
    CHECK(script.crashed(1) == "spawn 4 in 0: A");
    CHECK_FALSE(script.engine().workers().at(4).staged);
    CHECK(script.ready(4) == "");
    CHECK(script.ready(3) == "stage 5 in 1: B");
    CHECK(script.ready(5) == "flip");
    CHECK(script.engine().workers().at(4).staged);
    CHECK(script.flipped() == "drain 4 60000, drain 2 60000, commit B");
  }
  SUBCASE("its successor is ready, and still gets none") {
    script.ready(3);
    CHECK(script.crashed(1) == "spawn 5 in 0: A");
    CHECK(script.ready(4) == "flip");
    CHECK(script.ready(5) == "");
    CHECK(script.flipped() == "drain 5 60000, drain 2 60000, commit B");
  }
  SUBCASE("its slot has no successor yet") {
    CHECK(script.crashed(2) == "spawn 4 in 1: A");
    CHECK(script.ready(4) == "");
    CHECK(script.ready(3) == "stage 5 in 1: B");
  }
  SUBCASE("the one in its place is not ready when the flip comes, and is not needed any more") {
    script.ready(3);
    script.crashed(1);
    CHECK(script.ready(4) == "flip");
    CHECK(script.flipped() == "kill 5, drain 2 60000, commit B");
  }
}

TEST_CASE("flip: old code that keeps dying is respawned until the flip, with its waits") {
  Script script = Script::booted(settings(2));
  script.roll(7, flip());
  script.crashed(1);
  CHECK(script.crashed(4) == "");
  CHECK(script.pass(Time{150}).find("spawn 5 in 0: A") != std::string::npos);
  CHECK(script.ready(5) == "");
  CHECK(script.engine().unserved_slots().empty());
}

TEST_CASE("flip: a staged worker that fails ends it, and the old ones were never touched") {
  Script script = Script::booted(settings(2));
  script.roll(7, flip());
  script.ready(3);
  CHECK(script.crashed(4) == "drain 3 60000");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.returned(3) == "answer 7 reverted");
  CHECK(script.engine().unserved_slots().empty());
  CHECK(script.next() == -1);
}

TEST_CASE("flip: abort before it") {
  Script script = Script::booted(settings(2));
  script.roll(7, flip(2));
  script.ready(3);
  CHECK(script.abort(8) == "drain 3 60000, kill 4");
  script.crashed(4);
  CHECK(script.returned(3) == "answer 7 reverted, answer 8 ok");
}

TEST_CASE("flip: what fails between Flip and flipped is dealt with then") {
  Script script = flipping();
  SUBCASE("a new worker dies") {
    CHECK(script.crashed(3) == "");
    CHECK(script.crashed(4) == "");
    CHECK(script.flipped() == "drain 1 60000, drain 2 60000, spawn 5 in 0: A, spawn 6 in 1: A");
    CHECK(script.engine().state() == std::string("reverting"));
    script.returned(1);
    script.returned(2);
    script.ready(5);
    CHECK(script.ready(6) == "answer 7 reverted");
    CHECK(script.answer_text() == "slot 0, stage run: killed by SIGSEGV");
  }
  SUBCASE("abort: in place, on the new sockets") {
    CHECK(script.abort(8) == "");
    CHECK(script.flipped() == "drain 1 60000, drain 2 60000, spawn 5 in 0: A, spawn 6 in 1: A");
    script.returned(1);
    script.returned(2);
    CHECK_FALSE(script.engine().workers().at(5).staged);
    CHECK(script.ready(5) == "drain 3 60000");
    CHECK(script.ready(6) == "drain 4 60000");
    script.returned(3);
    CHECK(script.returned(4) == "answer 7 reverted, answer 8 ok");
  }
  SUBCASE("an old one dies: its successor has its connections") {
    CHECK(script.crashed(1) == "");
    CHECK(script.flipped() == "drain 2 60000, commit B");
    CHECK(script.committed() == "");
    CHECK(script.next() == 60'000);
    CHECK(script.returned(2) == "answer 7 ok");
  }
  SUBCASE("a rollback") {
    CHECK(script.upgrade(8, [] {
      UpgradeRequest wish = stored("Z");
      wish.overtake = true;
      return wish;
    }()) == "");
    CHECK(script.flipped() == "drain 1 60000, drain 2 60000, spawn 5 in 0: Z");
    CHECK_FALSE(script.engine().workers().at(5).staged);
  }
}

TEST_CASE("flip: revert after it is in place, and all slots at once") {
  Pace pace = flip();
  pace.probation = Time{1'000};
  Script script = flipping(pace);
  script.flipped();
  script.returned(1);
  script.returned(2);
  CHECK(script.crashed(4) == "spawn 5 in 1: A, spawn 6 in 0: A");
  CHECK_FALSE(script.engine().workers().at(6).staged);
  CHECK(script.ready(6) == "drain 3 60000");
  CHECK(script.ready(5) == "");
  CHECK(script.returned(3) == "answer 7 reverted");

  // The next upgrade flips back.
  CHECK(script.roll(8, flip(2), "C") == "stage 7 in 0: C, stage 8 in 1: C");
  script.ready(7);
  CHECK(script.ready(8) == "flip");
  CHECK(script.flipped() == "drain 6 60000, drain 5 60000, commit C");
}

TEST_CASE("flip: a HEAD that cannot be written reverts in place") {
  Script script = flipping(flip(1));
  CHECK(script.flipped() == "drain 1 60000, drain 2 60000, commit B");
  script.returned(1);
  script.returned(2);
  CHECK(script.commit_failed("disk full") == "spawn 5 in 0: A, spawn 6 in 1: A");
  CHECK(script.ready(5) == "drain 3 60000");
  CHECK(script.ready(6) == "drain 4 60000");
}

TEST_CASE("flip: a way back that does not come to its end is answered in time") {
  auto with = settings(1);
  with.ready_limit = Time{1'000};
  with.drain_limit = Time{500};
  Pace pace = flip();
  pace.probation = Time{1'000};
  Script script = Script::booted(with);
  script.roll(7, pace);
  script.ready(2);
  script.flipped();
  script.returned(1);
  script.abort(8);
  CHECK(script.engine().workers().size() == 2);
  script.entered_deferred(3);
  std::string said = script.pass(Time{2'499});
  CHECK(said.find("answer") == std::string::npos);
  CHECK(script.engine().state() == std::string("reverting"));
  CHECK_FALSE(script.engine().unserved_slots().count(0));
  said = script.pass(Time{1});
  CHECK(script.engine().state() == std::string("running"));
}

TEST_CASE("flip: flipped means nothing when nothing flips") {
  Script script = Script::booted(settings(1));
  CHECK(script.flipped() == "");
  script.upgrade(7, file(flip()));
  CHECK(script.flipped() == "");
  script.prepared("B");
  CHECK(script.flipped() == "");
  CHECK(script.ready(2) == "flip");
  CHECK(script.stop(8) == "answer 7 failed, drain 1 60000, drain 2 60000");
  CHECK(script.flipped() == "");
}

TEST_CASE("flip: the next upgrade of another kind is not staged") {
  Script script = flipping();
  script.flipped();
  script.committed();
  script.returned(1);
  script.returned(2);
  CHECK(script.roll(8, {}, "C") == "spawn 5 in 0: C");
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: C");
}

TEST_CASE("flip: a kill in its midst") {
  Script script = flipping();
  CHECK(script.kill(8) == "term 1, term 2, term 3, term 4");
  script.crashed(1);
  script.crashed(2);
  script.crashed(3);
  CHECK(script.crashed(4) == "");
  CHECK(script.flipped() == "spawn 5 in 0: A, spawn 6 in 1: A");
  script.ready(5);
  CHECK(script.ready(6) == "answer 7 reverted, answer 8 ok");
  CHECK(script.answer_text() == "2 workers are ready");
}

TEST_CASE("flip: when the sockets cannot be flipped, the old ones serve on as if nothing had been") {
  Script script = Script::booted(settings(2));
  script.roll(7, flip());
  script.ready(3);
  REQUIRE(script.ready(4) == "flip");
  CHECK(script.flip_failed("cannot rename") == "drain 3 60000, drain 4 60000");
  CHECK(script.engine().unserved_slots().empty());
  CHECK_FALSE(script.engine().workers().at(1).staged);
  CHECK(script.returned(3) == "");
  CHECK(script.returned(4) == "answer 7 reverted");
  CHECK(script.answer_text() == "cannot rename");
  CHECK(script.flip_failed("too late") == "");
}
