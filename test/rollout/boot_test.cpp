#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("boot: all slots start at once; all ready, then HEAD is written, then it has booted") {
  Script script(settings(2));
  CHECK(script.boot("A") == "spawn 1 in 0: A, spawn 2 in 1: A");
  CHECK(script.engine().state() == std::string("starting"));
  CHECK(script.ready(1) == "");
  CHECK(script.ready(2) == "commit A");
  CHECK(script.engine().release() == "");
  CHECK(script.committed() == "booted");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.engine().release() == "A");
  CHECK(script.engine().generation() == 1);
  CHECK(script.next() == -1);
}

TEST_CASE("boot: a worker that survives its settle time is ready") {
  auto with = settings(1);
  with.settle = Time{100};
  Script script(with);
  script.boot("A");
  CHECK(script.pass(Time{50}) == "");
  CHECK(script.entered(1) == "");
  CHECK(script.pass(Time{99}) == "");
  CHECK(script.pass(Time{1}) == "+1 commit A");
}

TEST_CASE("boot: without a settle time a worker is ready once it has entered") {
  auto with = settings(1);
  with.settle = Time{0};
  Script script(with);
  script.boot("A");
  CHECK(script.entered(1) == "commit A");
}

TEST_CASE("boot: a worker that says that it is ready need not settle") {
  Script script(settings(1));
  script.boot("A");
  script.entered(1);
  CHECK(script.ready(1) == "commit A");
}

TEST_CASE("boot: who defers its readiness is not ready by settling") {
  Script script(settings(1));
  script.boot("A");
  SUBCASE("from the start") { script.entered_deferred(1); }
  SUBCASE("while it settles") {
    script.entered(1);
    script.deferred(1);
  }
  CHECK(script.pass(Time{29'999}) == "");
  CHECK(script.ready(1) == "commit A");
}

TEST_CASE("boot: probation comes before HEAD") {
  auto with = settings(1);
  with.probation = Time{500};
  Script script(with);
  script.boot("A");
  CHECK(script.ready(1) == "");
  CHECK(script.pass(Time{500}) == "+500 commit A");
}

TEST_CASE("boot: a worker that fails ends it; the others drain, then it quits with the reason") {
  Script script(settings(2));
  script.boot("A");
  script.ready(1);
  CHECK(script.crashed(2) == "drain 1 60000");
  CHECK(script.engine().state() == std::string("stopping"));
  CHECK(script.returned(1) == "quit: slot 1, stage entry: killed by SIGSEGV");
  CHECK(script.next() == -1);
}

TEST_CASE("boot: a failure names its stage") {
  Script script(settings(1));
  script.boot("A");
  SUBCASE("it was never spawned") {
    CHECK(script.not_spawned(1) ==
          "quit: slot 0, stage spawn: cannot fork: Resource temporarily unavailable");
  }
  SUBCASE("it had been entered") {
    script.entered(1);
    CHECK(script.crashed(1) == "quit: slot 0, stage start: killed by SIGSEGV");
  }
  SUBCASE("it was not ready in time") {
    script.entered_deferred(1);
    CHECK(script.pass(Time{30'000}) == "+30000 drain 1 5000");
    CHECK(script.returned(1) == "quit: slot 0, stage ready: it was not ready within 30000 ms");
  }
}

TEST_CASE("boot: without a HEAD there is no boot") {
  Script script(settings(1));
  script.boot("A");
  script.ready(1);
  CHECK(script.commit_failed("cannot rename HEAD: No space left on device") == "drain 1 60000");
  CHECK(script.returned(1) == "quit: cannot rename HEAD: No space left on device");
}

TEST_CASE("boot: other requests are refused until it is over") {
  Script script(settings(1));
  script.boot("A");
  CHECK(script.upgrade(7) == "answer 7 refused");
  CHECK(script.answer_text() == "the master is still starting");
  CHECK(script.kill(8) == "answer 8 refused");
  CHECK(script.forks(9, 3) == "answer 9 refused");
  CHECK(script.stop(10) == "kill 1");
  CHECK(script.crashed(1) == "answer 10 ok, quit");
}

TEST_CASE("boot: events of a worker that is not known any more change nothing") {
  Script script = Script::booted(settings(1));
  CHECK(script.crashed(1) == "spawn 2 in 0: A");
  CHECK(script.entered(1) == "");
  CHECK(script.deferred(1) == "");
  CHECK(script.ready(1) == "");
  CHECK(script.crashed(1) == "");
  CHECK(script.ready(2) == "");
  CHECK(script.next() == -1);
}
