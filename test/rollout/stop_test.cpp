#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("stop: drains all, answers, quits") {
  Script script = Script::booted(settings(2));
  CHECK(script.stop(7) == "drain 1 60000, drain 2 60000");
  CHECK(script.engine().state() == std::string("stopping"));
  CHECK(script.upgrade(8) == "answer 8 refused");
  CHECK(script.answer_text() == "the master is stopping");
  CHECK(script.kill(9) == "answer 9 refused");
  CHECK(script.returned(1) == "");
  CHECK(script.crashed(2) == "answer 7 ok, quit");
  CHECK(script.next() == -1);
  CHECK(script.pass(Time{100'000}) == "");
}

TEST_CASE("stop: its drains have their limits") {
  Script script = Script::booted(settings(1));
  script.stop(7);
  CHECK(script.pass(Time{100'000}) == "+60000 revoke 1, +62000 term 1, +64000 kill 1");
}

TEST_CASE("stop: a second one changes nothing, a die ends it by force, and all are answered") {
  Script script = Script::booted(settings(1));
  script.stop(7);
  CHECK(script.stop(8) == "");
  CHECK(script.die(9) == "term 1");
  CHECK(script.pass(Time{10'000}) == "+2000 kill 1");
  CHECK(script.crashed(1) == "answer 7 ok, answer 8 ok, answer 9 ok, quit");
}

TEST_CASE("die: by force from the start") {
  Script script = Script::booted(settings(2));
  CHECK(script.die(7) == "term 1, term 2");
  CHECK(script.crashed(1) == "");
  CHECK(script.crashed(2) == "answer 7 ok, quit");
}

TEST_CASE("stop: ends an upgrade, whoever asked learns it") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  SUBCASE("in its preparation") { CHECK(script.stop(8) == "cancel, answer 7 failed, drain 1 60000"); }
  SUBCASE("in its roll: who has not entered holds nothing") {
    script.prepared("B");
    CHECK(script.stop(8) == "answer 7 failed, drain 1 60000, kill 2");
    script.crashed(2);
  }
  CHECK(script.answer_text() == "the master was told to stop");
  CHECK(script.returned(1) == "answer 8 ok, quit");
}

TEST_CASE("stop: an upgrade that was committed is answered for what it was") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  CHECK(script.stop(8) == "drain 2 60000");
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.returned(2) == "answer 8 ok, quit");
}

TEST_CASE("stop: ends a kill and a change of forks, whoever asked learns it") {
  Script script = Script::booted(settings(2));
  SUBCASE("kill") {
    CHECK(script.kill(7) == "term 1, term 2, spawn 3 in 0: A, spawn 4 in 1: A");
    CHECK(script.stop(8) == "answer 7 failed, kill 3, kill 4");
  }
  SUBCASE("forks") {
    script.forks(7, 3);
    CHECK(script.stop(8) == "answer 7 failed, drain 1 60000, drain 2 60000, kill 3");
  }
}

TEST_CASE("stop: a slot in backoff is not respawned and leaves no deadline") {
  Script script = Script::booted(settings(2));
  script.crashed(1);
  script.crashed(3);
  CHECK(script.stop(7) == "drain 2 60000");
  CHECK(script.returned(2) == "answer 7 ok, quit");
  CHECK(script.next() == -1);
}

TEST_CASE(
    "kill: ends all by force and replaces them; answered when the killed have gone and the new are ready") {
  Script script = Script::booted(settings(2));
  CHECK(script.kill(7) == "term 1, term 2, spawn 3 in 0: A, spawn 4 in 1: A");
  CHECK(script.kill(8) == "answer 8 refused");
  CHECK(script.answer_text() == "a kill is under way");
  CHECK(script.crashed(1) == "");
  CHECK(script.ready(3) == "");
  CHECK(script.ready(4) == "");
  CHECK(script.pass(Time{2'000}) == "+2000 kill 2");
  CHECK(script.crashed(2) == "answer 7 ok");
  CHECK(script.answer_text() == "2 workers are ready");
  CHECK(script.engine().slots()[0].restarts == 0);
}

TEST_CASE("kill: is answered in bounded time when the new workers do not come up") {
  auto with = settings(1);
  with.ready_limit = Time{1'000};
  Script script = Script::booted(with);
  script.kill(7);
  script.crashed(1);
  script.crashed(2);
  const std::string said = script.pass(Time{5'000});
  CHECK(said.find("+5000 answer 7 timed out") != std::string::npos);
}

TEST_CASE("kill: brings back slots in backoff at once") {
  Script script = Script::booted(settings(1));
  script.crashed(1);
  CHECK(script.crashed(2) == "");
  CHECK(script.kill(7) == "spawn 3 in 0: A");
  CHECK(script.ready(3) == "answer 7 ok");
}

TEST_CASE("kill: ends an upgrade, and the committed release comes back") {
  Script script = Script::booted(settings(2));
  script.upgrade(7);
  SUBCASE("in its preparation") {
    CHECK(script.kill(8) == "cancel, answer 7 reverted, term 1, term 2, spawn 3 in 0: A, spawn 4 in 1: A");
    CHECK(script.answer_text() == "all workers were killed on request");
    script.crashed(1);
    script.crashed(2);
    script.ready(3);
    CHECK(script.ready(4) == "answer 8 ok");
  }
  SUBCASE("half-way") {
    script.prepared("B");
    script.ready(3);
    CHECK(script.kill(8) == "kill 4, term 1, term 2, term 3, spawn 5 in 0: A, spawn 6 in 1: A");
    script.crashed(4);
    script.crashed(1);
    script.crashed(2);
    script.crashed(3);
    script.ready(5);
    CHECK(script.ready(6) == "answer 7 reverted, answer 8 ok");
  }
  CHECK(script.engine().release().id == "A");
}
