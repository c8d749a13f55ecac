#include <doctest/doctest.h>

#include <algorithm>

#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("upgrade: new before old, one slot after the other, and the answer waits for the old workers") {
  Script script = Script::booted(settings(2));
  CHECK(script.upgrade(7) == "prepare b.so");
  CHECK(script.engine().state() == std::string("upgrading"));
  CHECK(script.prepared("B") == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "drain 1 60000, spawn 4 in 1: B");
  CHECK(script.ready(4) == "drain 2 60000, commit B");
  CHECK(script.engine().release().id == "A");
  CHECK(script.committed() == "");
  CHECK(script.engine().release().id == "B");
  CHECK(script.engine().generation() == 2);
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.returned(1) == "");
  CHECK(script.returned(2) == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 2 slots");
  CHECK(script.next() == -1);
}

TEST_CASE("upgrade: with nobody left to wait for, the answer comes with the commit") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.returned(1);
  CHECK(script.committed() == "answer 7 ok");
  CHECK(script.answer_text() == "generation 2 serves in 1 slot");
}

TEST_CASE("upgrade: batch says how many slots have their turn at once") {
  auto with = settings(4);
  with.batch = 2;
  Script script = Script::booted(with);
  script.upgrade(7);
  CHECK(script.prepared("B") == "spawn 5 in 0: B, spawn 6 in 1: B");
  CHECK(script.ready(6) == "drain 2 60000, spawn 7 in 2: B");
  CHECK(script.ready(5) == "drain 1 60000, spawn 8 in 3: B");
  CHECK(script.ready(7) == "drain 3 60000");
  CHECK(script.ready(8) == "drain 4 60000, commit B");
}

TEST_CASE("upgrade: surge bounds the workers that start or serve, not those that drain") {
  auto with = settings(4);
  SUBCASE("as a number") { with.surge = {1, false}; }
  SUBCASE("as a per cent of forks, rounded up") { with.surge = {10, true}; }
  Script script = Script::booted(with);
  with.batch = 3;
  script.upgrade(7, file(with));
  CHECK(script.prepared("B") == "spawn 5 in 0: B");
  CHECK(script.ready(5) == "drain 1 60000, spawn 6 in 1: B");
  CHECK(script.ready(6) == "drain 2 60000, spawn 7 in 2: B");
  CHECK(script.returned(1) == "");
}

TEST_CASE("upgrade: what never began is refused, and nothing is touched") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  CHECK(script.unfit("no such file") == "answer 7 refused");
  CHECK(script.answer_text() == "no such file");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.unfit("too late") == "");
  script.upgrade(8);
  CHECK(script.prepare_failed("the self-test failed") == "answer 8 reverted");
}

TEST_CASE("boot: nothing to start with is a failure") {
  Script script{settings(1)};
  script.prepare_boot("a.so");
  CHECK(script.unfit("no such file") == "quit: no such file");
}

TEST_CASE("upgrade: without surge the old worker leaves first") {
  auto with = settings(2);
  with.surge = {0, false};
  Script script = Script::booted(with);
  script.upgrade(7);
  CHECK(script.prepared("B") == "drain 1 60000");
  CHECK(script.returned(1) == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "drain 2 60000");
  CHECK(script.returned(2) == "spawn 4 in 1: B");
  CHECK(script.ready(4) == "commit B");
  CHECK(script.committed() == "answer 7 ok");
}

TEST_CASE("upgrade: without zero downtime all workers are ended and replaced at once") {
  auto with = settings(2);
  with.zero_downtime = false;
  Script script = Script::booted(with);
  script.upgrade(7);
  SUBCASE("as far as the surge allows") {
    CHECK(script.prepared("B") == "term 1, spawn 3 in 0: B, term 2, spawn 4 in 1: B");
    script.ready(3);
    CHECK(script.ready(4) == "commit B");
    CHECK(script.committed() == "");
    CHECK(script.crashed(1) == "");
    CHECK(script.pass(Time{2'000}) == "+2000 kill 2");
    CHECK(script.crashed(2) == "answer 7 ok");
    CHECK(script.answer_text() == "generation 2 serves in 2 slots");
  }
  SUBCASE("and goes back in the same way") {
    script.prepared("B");
    CHECK(script.ready(3) == "");
    CHECK(script.crashed(4) == "spawn 5 in 1: A, term 3, spawn 6 in 0: A");
    CHECK(script.crashed(3) == "");
    CHECK(script.crashed(1) == "");
    CHECK(script.crashed(2) == "");
    CHECK(script.ready(5) == "");
    CHECK(script.ready(6) == "answer 7 reverted");
  }
}

TEST_CASE("upgrade: without zero downtime and surge a slot is filled when its worker has gone") {
  auto with = settings(2);
  with.zero_downtime = false;
  with.surge = {0, false};
  Script script = Script::booted(with);
  script.upgrade(7);
  CHECK(script.prepared("B") == "term 1, term 2");
  CHECK(script.crashed(2) == "spawn 3 in 1: B");
  CHECK(script.crashed(1) == "spawn 4 in 0: B");
}

TEST_CASE("upgrade: outside of upgrades a death without zero downtime is replaced as ever") {
  auto with = settings(1);
  with.zero_downtime = false;
  Script script = Script::booted(with);
  CHECK(script.crashed(1) == "spawn 2 in 0: A");
}

TEST_CASE("upgrade: probation is the time after the last worker is ready") {
  auto with = settings(1);
  with.probation = Time{5'000};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.ready(2) == "drain 1 60000");
  CHECK(script.pass(Time{4'999}) == "");
  CHECK(script.pass(Time{1}) == "+1 commit B");
}

TEST_CASE("upgrade: one at a time, until it is committed") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  CHECK(script.upgrade(8) == "answer 8 refused");
  CHECK(script.answer_text() == "an upgrade to b.so is under way");
  script.prepared("B");
  CHECK(script.upgrade(9) == "answer 9 refused");
  CHECK(script.answer_text() == "an upgrade to B is under way");
  CHECK(script.forks(10, 5) == "answer 10 refused");
  script.ready(2);
  script.committed();

  // The first upgrade's old worker still drains.
  CHECK(script.upgrade(11) == "prepare b.so");
  script.prepared("C");
  script.returned(1);
  CHECK(script.ready(3) == "drain 2 60000, commit C");
  script.committed();
  CHECK(script.returned(2) == "answer 11 ok");
  CHECK(script.engine().generation() == 3);
}

TEST_CASE("upgrade: each answer waits for the old workers of its own upgrade") {
  auto with = settings(1);
  with.surge = {5, false};
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  script.ready(2);
  script.committed();
  script.upgrade(8);
  script.prepared("C");
  script.ready(3);
  script.committed();
  CHECK(script.returned(2) == "answer 8 ok");
  CHECK(script.returned(1) == "answer 7 ok");
}

TEST_CASE(
    "upgrade: a death of an old worker is replaced by the committed release, and its turn comes later") {
  auto with = settings(2);
  Script script = Script::booted(with);
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.crashed(2) == "spawn 4 in 1: A");
  CHECK(script.ready(4) == "");
  CHECK(script.ready(3) == "drain 1 60000, spawn 5 in 1: B");
  CHECK(script.ready(5) == "drain 4 60000, commit B");
}

TEST_CASE("upgrade: a slot whose old worker dies before its successor is ready is not left without one") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.crashed(1) == "spawn 3 in 0: A");
  CHECK(script.ready(3) == "");
  CHECK(script.ready(2) == "drain 3 60000, commit B");
  CHECK(script.committed() == "");
  CHECK(script.returned(3) == "answer 7 ok");
}

TEST_CASE("upgrade: a release that returns at once is no success, however long its process takes to end") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("B");
  CHECK(script.gave_up(2) == "drain 2 5000");
  CHECK(script.crashed(2) == "answer 7 reverted");
  CHECK(script.engine().release().id == "A");
}

TEST_CASE("respawn: a worker that returned is replaced before its process has ended") {
  Script script = Script::booted(settings(1));
  CHECK(script.gave_up(1) == "drain 1 5000, spawn 2 in 0: A");
}

TEST_CASE(
    "upgrade: a release that crashes in a loop can be replaced, and its deaths are not the next one's") {
  Script script = Script::booted(settings(1));
  for (WorkerId worker = 1; worker <= 8; ++worker) {
    script.crashed(worker);
    if (script.engine().workers().empty()) script.pass(Time{script.next()});
  }
  script.crashed(9);
  CHECK(script.engine().unserved_slots().size() == 1);
  CHECK(script.upgrade(7) == "prepare b.so");
  CHECK(script.prepared("B") == "spawn 10 in 0: B");
  CHECK(script.ready(10) == "commit B");
  CHECK(script.committed() == "answer 7 ok");
  CHECK(script.next() == -1);
  CHECK(script.crashed(10) == "spawn 11 in 0: B");
}

TEST_CASE("upgrade: to the same content it does its work, and says what it is") {
  Script script = Script::booted(settings(1));
  const std::string id = "0123456789abcdef";
  script.upgrade(7);
  script.prepared(id);
  script.ready(2);
  script.returned(1);
  script.committed();
  CHECK(script.answer_text() == "generation 2 serves in 1 slot");

  script.upgrade(8);
  CHECK(script.prepared(id) == "spawn 3 in 0: " + id);
  const std::string remark = "the file has the same content as the release that serves (0123456789ab)";
  CHECK(script.notes().back().kind == NoteKind::spawned);
  const auto& notes = script.notes();
  CHECK(std::any_of(notes.begin(), notes.end(), [&](const Note& note) {
    return note.kind == NoteKind::started && note.request == 8 && note.text == remark;
  }));
  CHECK(script.ready(3) == "drain 2 60000, commit " + id);
  script.returned(2);
  CHECK(script.committed() == "answer 8 ok");
  CHECK(script.answer_text() == "generation 3 serves in 1 slot; " + remark);
}

TEST_CASE("upgrade: what its preparation remarked stands in the answer, beside what the engine says") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.prepared("A", "libx.so is not part of the release");
  script.ready(2);
  script.returned(1);
  script.committed();
  CHECK(script.answer_text() ==
        "generation 2 serves in 1 slot; the file has the same content as the release that serves (A); "
        "libx.so is not part of the release");
}
