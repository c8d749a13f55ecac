#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("boot: all slots start at once; all ready, then HEAD is written, then it has booted") {
  Script script(settings(2));
  CHECK(script.boot("A") == "spawn 1 in 0: A, spawn 2 in 1: A");
  CHECK(script.engine().state() == std::string("starting"));
  CHECK(script.ready(1) == "");
  CHECK(script.ready(2) == "commit A");
  CHECK(script.engine().release().id == "");
  CHECK(script.committed() == "booted");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.engine().release().id == "A");
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

TEST_CASE(
    "boot: workers that are seen to be ready have booted when they have survived their settle time as well") {
  auto with = settings(2);
  with.settle = Time{100};
  Script script(with);
  script.boot("A");
  script.entered(1);
  CHECK(script.pass(Time{40}) == "");
  script.entered(2);
  CHECK(script.seen_ready(1) == "");
  CHECK(script.seen_ready(2) == "");
  CHECK(script.engine().state() == std::string("starting"));
  CHECK(script.pass(Time{99}) == "");
  SUBCASE("they do") { CHECK(script.pass(Time{1}) == "+1 commit A"); }
  SUBCASE("one does not: that is a start that has failed, not a worker to replace") {
    const auto said = script.crashed(2);
    CHECK(said.find("spawn") == std::string::npos);
    CHECK(said.find("drain 1") != std::string::npos);
  }
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

TEST_CASE(
    "boot: there is nothing to go back to: neither canary nor probation nor flip, nor a probe to wait for") {
  auto with = settings(2);
  with.probation = Time{500};
  with.canary = {1, false};
  with.health = true;
  SUBCASE("a canary") { with.canary = {1, false}; }
  SUBCASE("a flip") { with.flip = true; }
  Script script(with);
  CHECK(script.boot("A") == "spawn 1 in 0: A, spawn 2 in 1: A");
  CHECK_FALSE(script.engine().judging());
  script.ready(1);
  CHECK(script.ready(2) == "commit A");
}

TEST_CASE("boot: a file is prepared first, for nobody who asked") {
  auto with = settings(1);
  with.prepare_limit = Time{3'000};
  Script script(with);
  CHECK(script.prepare_boot("a.so") == "prepare a.so");
  CHECK(script.engine().state() == std::string("starting"));
  CHECK(script.engine().phase() == std::string("preparing"));
  SUBCASE("and then started") {
    CHECK(script.prepared("A") == "spawn 1 in 0: A");
    CHECK(script.ready(1) == "commit A");
    CHECK(script.committed() == "booted");
    CHECK(script.next() == -1);
  }
  SUBCASE("or it is no use") { CHECK(script.prepare_failed("a.so: no entry") == "quit: a.so: no entry"); }
  SUBCASE("or it takes too long") {
    CHECK(script.pass(Time{3'000}) ==
          "+3000 cancel, +3000 quit: preparing it took longer than the limit of 3000 ms");
  }
  SUBCASE("or the master is stopped") {
    CHECK(script.stop(7) == "cancel, answer 7 ok, quit");
    CHECK(script.prepared("A") == "");
  }
  SUBCASE("meanwhile nothing else is possible") {
    CHECK(script.abort(7) == "answer 7 refused");
    CHECK(script.answer_text() == "the master is still starting");
    CHECK(script.promote(8) == "answer 8 refused");
    UpgradeRequest queued = file();
    queued.queue = true;
    CHECK(script.upgrade(9, queued) == "answer 9 refused");
    CHECK(script.kill(10) == "answer 10 refused");
  }
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
