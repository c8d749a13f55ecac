#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

Settings with_health(unsigned forks = 2) {
  auto with = settings(forks);
  with.health = true;
  with.probation = Time{10'000};
  return with;
}

// An upgrade in its roll: worker 3 serves slot 0, worker 4 starts in slot 1.
Script half_way(bool good_before = true) {
  Script script = Script::booted(with_health());
  script.upgrade(7);
  script.probed(good_before);
  script.prepared("B");
  script.ready(3);
  script.returned(1);
  return script;
}

// On probation; the old workers have exited.
Script trial(bool good_before = true) {
  Script script = half_way(good_before);
  script.ready(4);
  script.returned(2);
  return script;
}

}  // namespace

TEST_CASE("health: judged is an upgrade that may still fail, and nothing else") {
  Script script(with_health(1));
  script.boot("A");
  CHECK_FALSE(script.engine().judging());
  script.ready(1);
  script.committed();
  CHECK_FALSE(script.engine().judging());
  script.upgrade(7);
  CHECK(script.engine().judging());
  script.prepared("B");
  CHECK(script.engine().judging());
  script.ready(2);
  CHECK(script.engine().judging());
  script.promote(8);
  CHECK_FALSE(script.engine().judging());
  script.committed();
  CHECK(script.probed(false) == "");
  CHECK(script.probed(false) == "");
  script.returned(1);
  CHECK(script.engine().state() == std::string("running"));
}

TEST_CASE("health: nothing is committed before a good probe of it") {
  Script script = trial();
  SUBCASE("the good one comes in time: the probation has its length") {
    CHECK(script.probed(true) == "");
    CHECK(script.pass(Time{10'000}) == "+10000 commit B");
  }
  SUBCASE("the good one comes later") {
    CHECK(script.pass(Time{10'000}) == "");
    CHECK(script.next() == -1);
    CHECK(script.probed(true) == "commit B");
  }
  SUBCASE("a bad one, then a good one") {
    CHECK(script.probed(false) == "");
    CHECK(script.pass(Time{10'000}) == "");
    CHECK(script.probed(true) == "commit B");
  }
  SUBCASE("a good one, then a bad one at the end") {
    script.probed(true);
    script.probed(false);
    CHECK(script.pass(Time{10'000}) == "");
    CHECK(script.probed(true) == "commit B");
  }
  SUBCASE("a round without probes says nothing") {
    script.pass(Time{10'000});
    Engine engine = script.engine();
    CHECK(engine.probed(Time{2'000'000}, Probe{}).empty());
    CHECK(engine.phase() == std::string("probation"));
  }
  SUBCASE("somebody vouches for it") { CHECK(script.promote(8) == "answer 8 ok, commit B"); }
}

TEST_CASE("health: without a probation the first good probe commits") {
  auto with = with_health(1);
  with.probation = Time{0};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.probed(true);
  script.prepared("B");
  CHECK(script.ready(2) == "drain 1 60000");
  CHECK(script.engine().phase() == std::string("probation"));
  CHECK(script.notes().back().kind == NoteKind::probation);
  CHECK(script.probed(true) == "commit B");
}

TEST_CASE("health: a good probe of the roll is no proof of the whole") {
  Script script = half_way();
  script.probed(true);
  script.ready(4);
  script.returned(2);
  CHECK(script.pass(Time{10'000}) == "");
}

TEST_CASE("health: two bad probes in a row revert") {
  SUBCASE("in probation") {
    Script script = trial();
    CHECK(script.probed(false) == "");
    CHECK(script.probed(true) == "");
    CHECK(script.probed(false) == "");
    CHECK(script.probed(false) == "spawn 5 in 0: A");
    CHECK(script.engine().state() == std::string("reverting"));
    CHECK(script.probed(false) == "");
    script.ready(5);
    script.ready(6);
    script.returned(3);
    CHECK(script.returned(4) == "answer 7 reverted");
    CHECK(script.answer_text() == "health probe: GET / gave 500, expected 200");
  }
  SUBCASE("in probation, when its time is over") {
    Script script = trial();
    script.pass(Time{10'000});
    CHECK(script.probed(false) == "");
    CHECK(script.probed(false) == "spawn 5 in 0: A");
  }
  SUBCASE("in the roll") {
    Script script = half_way();
    CHECK(script.probed(false) == "");
    CHECK(script.probed(false) == "kill 4, spawn 5 in 0: A");
  }
  SUBCASE("one in the roll, one in probation") {
    Script script = half_way();
    script.probed(false);
    script.ready(4);
    script.returned(2);
    CHECK(script.probed(false) == "spawn 5 in 0: A");
  }
}

TEST_CASE("health: in the bake") {
  auto with = with_health(2);
  with.canary = {1, false};
  with.bake = Time{5'000};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.probed(true);
  script.prepared("B");
  script.ready(3);
  script.returned(1);
  SUBCASE("bad ones revert") {
    script.probed(false);
    CHECK(script.probed(false) == "spawn 4 in 0: A");
  }
  SUBCASE("a good one is waited for") {
    CHECK(script.pass(Time{5'000}) == "");
    CHECK(script.probed(true) == "spawn 4 in 1: B");
  }
  SUBCASE("and the probation wants one of its own") {
    script.probed(true);
    CHECK(script.pass(Time{5'000}) == "+5000 spawn 4 in 1: B");
    script.ready(4);
    CHECK(script.pass(Time{10'000}) == "");
    CHECK(script.probed(true) == "commit B");
  }
}

TEST_CASE("health: a release that is sick already is not what its successor is measured by") {
  Script script = trial(false);
  script.probed(false);
  script.probed(false);
  CHECK(script.probed(false) == "");
  CHECK(script.engine().phase() == std::string("probation"));
  CHECK(script.pass(Time{10'000}) == "+10000 commit B");
}

TEST_CASE("health: of the probes before, the last one counts") {
  Script script = Script::booted(with_health(1));
  script.upgrade(7);
  script.probed(false);
  script.probed(true);
  script.prepared("B");
  script.ready(2);
  script.returned(1);
  script.probed(false);
  CHECK(script.probed(false) == "spawn 3 in 0: A");
}

TEST_CASE("health: what fails before a successor serves is not its fault") {
  Script script = Script::booted(with_health(1));
  script.upgrade(7);
  script.probed(true);
  script.prepared("B");
  script.probed(false);
  CHECK(script.probed(false) == "");
  CHECK(script.engine().phase() == std::string("rolling"));
  script.ready(2);
  CHECK(script.probed(false) == "");
  CHECK(script.engine().phase() == std::string("probation"));
}

TEST_CASE("health: a rollback from what is sick is not reverted by its probes") {
  Script script = Script::booted(with_health());
  script.upgrade(7, stored("B", with_health()));
  SUBCASE("the probes begin while both serve") {
    script.ready(3);
    script.probed(false);
    script.probed(false);
    CHECK(script.probed(false) == "");
    script.ready(4);
    CHECK(script.probed(true) == "");
    CHECK(script.pass(Time{10'000}) == "+10000 commit B");
  }
  SUBCASE("the probes begin before anybody serves") {
    script.probed(false);
    script.ready(3);
    script.ready(4);
    script.probed(false);
    CHECK(script.probed(false) == "");
    CHECK(script.pass(Time{10'000}) == "+10000 commit B");
  }
  SUBCASE("but where it serves alone it answers for itself") {
    script.ready(3);
    script.returned(1);
    script.ready(4);
    script.returned(2);
    script.probed(false);
    CHECK(script.probed(false) == "spawn 5 in 0: A");
  }
}
