#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

Pace probation(Time span) {
  Pace pace;
  pace.probation = span;
  return pace;
}

// Workers 3 and 4 run release B and are on probation for ten seconds; the old workers have exited.
Script trial(Settings with = settings(2)) {
  Script script = Script::booted(with);
  script.roll(7, probation(Time{10'000}));
  script.ready(3);
  script.ready(4);
  script.returned(1);
  script.returned(2);
  return script;
}

}  // namespace

TEST_CASE("probation: it is that of the upgrade, and says when it ends") {
  Script script = trial();
  CHECK(script.engine().phase() == std::string("probation"));
  CHECK(script.engine().phase_end());
  CHECK(script.notes().back().kind == NoteKind::gone);
  CHECK(script.next() == 10'000);
  CHECK(script.pass(Time{10'000}) == "+10000 commit B");
  CHECK(script.engine().phase() == std::string("committing"));
  CHECK(script.committed() == "answer 7 ok");
  CHECK(script.engine().phase() == std::string(""));
}

TEST_CASE("probation: a worker that dies, or returns, reverts") {
  Script script = trial();
  SUBCASE("dies") { CHECK(script.crashed(4) == "spawn 5 in 1: A, spawn 6 in 0: A"); }
  SUBCASE("returns") {
    CHECK(script.gave_up(4) == "drain 4 5000, spawn 5 in 1: A, spawn 6 in 0: A");
    CHECK(script.returned(4) == "");
  }
  CHECK(script.ready(5) == "");
  CHECK(script.ready(6) == "drain 3 60000");
  CHECK(script.returned(3) == "answer 7 reverted");
  CHECK(script.answer_text().find("slot 1, stage run: ") == 0);
  CHECK(script.engine().release().id == "A");
}

TEST_CASE("probation: promote commits at once") {
  Script script = trial();
  CHECK(script.promote(8) == "answer 8 ok, commit B");
  CHECK(script.answer_text() == "the probation is over");
  CHECK(script.promote(9) == "answer 9 refused");
  CHECK(script.abort(10) == "answer 10 refused");
  CHECK(script.committed() == "answer 7 ok");
  CHECK(script.next() == -1);
}

TEST_CASE("probation: promote is for a trial, in every other phase it is refused") {
  Script script = Script::booted(settings(2));
  CHECK(script.promote(7) == "answer 7 refused");
  script.upgrade(8);
  CHECK(script.promote(9) == "answer 9 refused");
  script.prepared("B");
  CHECK(script.promote(10) == "answer 10 refused");
  script.crashed(3);
  CHECK(script.promote(11) == "answer 11 refused");
}

TEST_CASE("abort: while nothing is under way, or the master starts or stops, it is refused") {
  Script script = Script::booted(settings(1));
  CHECK(script.abort(7) == "answer 7 refused");
  CHECK(script.answer_text() == "no upgrade is under way");
  script.forks(8, 2);
  CHECK(script.abort(9) == "answer 9 refused");
  CHECK(script.answer_text() == "a change of forks is under way");
  script.stop(10);
  CHECK(script.abort(11) == "answer 11 refused");
  CHECK(script.answer_text() == "the master is stopping");
}

TEST_CASE("abort: in the preparation; nobody has been touched") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  CHECK(script.abort(8) == "cancel, answer 7 reverted, answer 8 ok");
  CHECK(script.prepared("B") == "");
  CHECK(script.next() == -1);
}

TEST_CASE("abort: in the preparation it does not wait for what an earlier upgrade has sent away") {
  Script script = Script::booted(settings(1));
  script.roll(7, {});
  script.ready(2);
  script.committed();
  script.upgrade(8);
  CHECK(script.abort(9) == "cancel, answer 8 reverted, answer 9 ok");
  CHECK(script.returned(1) == "answer 7 ok");
}

TEST_CASE("abort: in the roll") {
  Script script = Script::booted(settings(2));
  script.roll(7, {});
  SUBCASE("before anybody was ready") {
    CHECK(script.abort(8) == "kill 3");
    CHECK(script.crashed(3) == "answer 7 reverted, answer 8 ok");
  }
  SUBCASE("half-way") {
    script.ready(3);
    script.returned(1);
    CHECK(script.abort(8) == "kill 4, spawn 5 in 0: A");
    CHECK(script.crashed(4) == "");
    CHECK(script.ready(5) == "drain 3 60000");
    CHECK(script.returned(3) == "answer 7 reverted, answer 8 ok");
  }
  CHECK(script.answer_text() == "reverted");
  CHECK(script.engine().release().id == "A");
  CHECK(script.next() == -1);
}

TEST_CASE("abort: in probation") {
  Script script = trial();
  CHECK(script.abort(8) == "spawn 5 in 0: A");
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: A");
  CHECK(script.ready(6) == "drain 4 60000");
  CHECK(script.returned(3) == "");
  CHECK(script.returned(4) == "answer 7 reverted, answer 8 ok");
  CHECK(script.pass(Time{100'000}) == "");
}

TEST_CASE("abort: a second one is told that the way back has begun; a kill goes on") {
  Script script = trial();
  script.abort(8);
  CHECK(script.abort(9) == "answer 9 refused");
  CHECK(script.kill(10) == "term 3, term 4, term 5, spawn 6 in 0: A, spawn 7 in 1: A");
  script.crashed(3);
  script.crashed(4);
  script.crashed(5);
  CHECK(script.ready(6) == "");
  CHECK(script.ready(7) == "answer 7 reverted, answer 8 ok, answer 10 ok");
}
