#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("forks: more; answered when the new slots are ready") {
  Script script = Script::booted(settings(1));
  CHECK(script.forks(7, 3) == "spawn 2 in 1: A, spawn 3 in 2: A");
  CHECK(script.forks(8, 4) == "answer 8 refused");
  CHECK(script.answer_text() == "a change of forks is under way");
  CHECK(script.upgrade(9) == "answer 9 refused");
  CHECK(script.ready(2) == "");
  CHECK(script.ready(3) == "answer 7 ok");
  CHECK(script.answer_text() == "3 workers are ready");
  CHECK(script.engine().fork_count() == 3);
}

TEST_CASE("forks: as many as there are is answered at once") {
  Script script = Script::booted(settings(2));
  CHECK(script.forks(7, 2) == "answer 7 ok");
}

TEST_CASE("forks: more, while old workers of an upgrade still drain") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  CHECK(script.forks(8, 2) == "spawn 3 in 1: B");
  CHECK(script.ready(3) == "answer 8 ok");
  CHECK(script.returned(1) == "answer 7 ok");
}

TEST_CASE("forks: less; the slots serve on while connections may be on their way to them, then drain") {
  auto with = settings(3);
  with.unsteer = Time{200};
  Script script = Script::booted(with);
  CHECK(script.forks(7, 1) == "steer below 1");
  CHECK(script.engine().fork_count() == 1);
  CHECK(script.pass(Time{199}) == "");
  CHECK(script.pass(Time{1}) == "+1 drain 2 60000, +1 drain 3 60000");
  CHECK(script.returned(2) == "");
  CHECK(script.returned(3) == "close from 1, answer 7 ok");
  CHECK(script.answer_text() == "1 worker is left");
  CHECK(script.next() == -1);
}

TEST_CASE("forks: less; a vanishing slot's worker that dies is not replaced") {
  auto with = settings(2);
  with.unsteer = Time{200};
  Script script = Script::booted(with);
  script.forks(7, 1);
  CHECK(script.crashed(2) == "");
  CHECK(script.pass(Time{200}) == "+200 close from 1, +200 answer 7 ok");
}

TEST_CASE("forks: new slots that do not come up are given up, with the reason") {
  auto with = settings(1);
  with.unsteer = Time{200};
  Script script = Script::booted(with);
  script.forks(7, 3);
  script.ready(2);
  SUBCASE("a crash") {
    CHECK(script.crashed(3) == "steer below 1");
    CHECK(script.pass(Time{200}) == "+200 drain 2 60000");
    CHECK(script.returned(2) == "close from 1, answer 7 failed");
    CHECK(script.answer_text() == "slot 2, stage entry: killed by SIGSEGV");
  }
  SUBCASE("the ready limit") {
    script.entered_deferred(3);
    CHECK(script.pass(Time{30'000}) == "+30000 drain 3 5000, +30000 steer below 1");
    CHECK(script.pass(Time{200}) == "+200 drain 2 60000");
    CHECK(script.returned(2) == "");
    CHECK(script.crashed(3) == "close from 1, answer 7 failed");
  }
  CHECK(script.engine().fork_count() == 1);
}

TEST_CASE("forks: an upgrade afterwards serves the new slots too") {
  Script script = Script::booted(settings(1));
  script.forks(7, 2);
  script.ready(2);
  script.upgrade(8);
  CHECK(script.prepared("B") == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "drain 1 60000, spawn 4 in 1: B");
  CHECK(script.ready(4) == "drain 2 60000, commit B");
}
