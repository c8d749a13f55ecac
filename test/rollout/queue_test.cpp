#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

UpgradeRequest queued(const std::string& path, const Pace& pace = {}) {
  UpgradeRequest wish;
  wish.path = path;
  wish.pace = pace;
  wish.queue = true;
  return wish;
}

UpgradeRequest rollback(const std::string& release, const Pace& pace = {}) {
  UpgradeRequest wish = stored(release, pace);
  wish.overtake = true;
  return wish;
}

// Worker 3 of release B serves slot 0; worker 4 starts in slot 1.
Script half_way() {
  Script script = Script::booted(settings(2));
  script.roll(7, {});
  script.ready(3);
  script.returned(1);
  return script;
}

}  // namespace

TEST_CASE("queue: who does not ask for it is refused") {
  Script script = half_way();
  CHECK(script.upgrade(8, file()) == "answer 8 refused");
  CHECK(script.answer_text() == "an upgrade to B is under way");
  CHECK_FALSE(script.engine().queued());
}

TEST_CASE("queue: who is refused learns what is under way, also while that is being prepared") {
  Script script = Script::booted(settings(2));
  CHECK(script.upgrade(7, file()) == "prepare b.so");
  CHECK(script.upgrade(8, file()) == "answer 8 refused");
  CHECK(script.answer_text() == "an upgrade to b.so is under way");
}

TEST_CASE("queue: with nothing under way nobody waits") {
  Script script = Script::booted(settings(1));
  CHECK(script.upgrade(7, queued("b.so")) == "prepare b.so");
  CHECK_FALSE(script.engine().queued());
}

TEST_CASE("queue: it begins with the commit, not with the answer") {
  Script script = half_way();
  CHECK(script.upgrade(8, queued("c.so")) == "");
  CHECK(script.engine().queued());
  CHECK(script.notes().back().kind == NoteKind::queued);
  CHECK(script.notes().back().text == "an upgrade to B is under way");
  CHECK(script.ready(4) == "drain 2 60000, commit B");
  CHECK(script.committed() == "prepare c.so");
  CHECK_FALSE(script.engine().queued());
  CHECK(script.returned(2) == "answer 7 ok");
  CHECK(script.prepared("C") == "spawn 5 in 0: C");
}

TEST_CASE("queue: the newest wins, those between are told") {
  Script script = half_way();
  script.upgrade(8, queued("c.so"));
  CHECK(script.upgrade(9, queued("d.so")) == "answer 8 refused");
  CHECK(script.answer_text() == "overtaken by a later upgrade");
  CHECK(script.upgrade(10, queued("e.so")) == "answer 9 refused");
  CHECK(script.upgrade(11, rollback("Z")) == "answer 10 refused, kill 4, spawn 5 in 0: Z");
  script.crashed(4);
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: Z");
}

TEST_CASE("queue: it comes after an upgrade that failed, too, without another event") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.upgrade(8, queued("c.so"));
  SUBCASE("in its preparation") { CHECK(script.prepare_failed("no") == "answer 7 reverted, prepare c.so"); }
  SUBCASE("in its preparation, by time") {
    CHECK(script.pass(Time{360'000}) == "+360000 cancel, +360000 answer 7 reverted, +360000 prepare c.so");
  }
  SUBCASE("in its roll: nobody is left to leave") {
    script.prepared("B");
    CHECK(script.crashed(2) == "answer 7 reverted, prepare c.so");
  }
  SUBCASE("when its way back is over") {
    script.prepared("B");
    script.ready(2);
    script.returned(1);
    script.commit_failed("disk full");
    CHECK(script.ready(3) == "drain 2 60000, prepare c.so");
  }
  SUBCASE("when it was aborted") {
    CHECK(script.abort(9) == "cancel, answer 7 reverted, answer 9 ok, prepare c.so");
  }
}

TEST_CASE("rollback: it serves also where it cannot be recorded") {
  Script script = Script::booted(settings(1));
  script.upgrade(7, rollback("B"));
  script.prepared("B");
  CHECK(script.ready(2) == "drain 1 60000, commit B");
  CHECK(script.commit_failed("disk full") == "");
  CHECK(script.engine().release().id == "B");
  CHECK(script.returned(1) == "answer 7 ok");
  CHECK(script.answer_text().find("the record is behind") != std::string::npos);
  CHECK(script.answer_text().find("disk full") != std::string::npos);
}

TEST_CASE("queue: behind a kill and a change of forks") {
  Script script = Script::booted(settings(1));
  SUBCASE("kill") {
    script.kill(7);
    CHECK(script.upgrade(8, queued("b.so")) == "");
    CHECK(script.notes().back().text == "a kill is under way");
    script.crashed(1);
    CHECK(script.ready(2) == "answer 7 ok, prepare b.so");
  }
  SUBCASE("a rollback does not wait for the end of a kill") {
    script.kill(7);
    CHECK(script.upgrade(8, rollback("Z")) == "answer 7 failed, spawn 3 in 0: Z");
    CHECK(script.answer_text() == "a rollback was asked for before every slot was served");
    script.crashed(1);
    CHECK(script.ready(3) == "kill 2, commit Z");
  }
  SUBCASE("nor for new slots") {
    script.forks(7, 2);
    CHECK(script.upgrade(8, rollback("Z")) == "answer 7 failed, spawn 3 in 0: Z");
  }
  SUBCASE("forks") {
    script.forks(7, 2);
    script.upgrade(8, queued("b.so"));
    CHECK(script.ready(2) == "answer 7 ok, prepare b.so");
  }
}

TEST_CASE("queue: a kill ends the upgrade, not those who wait") {
  Script script = half_way();
  script.upgrade(8, queued("c.so"));
  script.kill(9);
  script.crashed(2);
  script.crashed(3);
  script.crashed(4);
  script.ready(5);
  CHECK(script.ready(6) == "answer 7 reverted, answer 9 ok, prepare c.so");
}

TEST_CASE("queue: what is possible is decided by the forks that are asked for") {
  Pace flip;
  flip.flip = true;
  flip.surge = {2, false};
  SUBCASE("more") {
    Script script = Script::booted(settings(2));
    script.forks(7, 3);
    CHECK(script.upgrade(8, queued("b.so", flip)) == "answer 8 refused");
  }
  SUBCASE("less") {
    Script script = Script::booted(settings(3));
    script.forks(7, 2);
    CHECK(script.upgrade(8, queued("b.so", flip)) == "prepare b.so");
    script.pass(Time{0});
    CHECK(script.returned(3) == "close from 2, answer 7 ok");
  }
  SUBCASE("more, which are given up again") {
    Script script = Script::booted(settings(1));
    script.forks(7, 2);
    CHECK(script.upgrade(8, queued("b.so", flip)) == "");
    CHECK(script.crashed(2) == "steer below 1, close from 1, answer 7 failed, prepare b.so");
  }
}

TEST_CASE("queue: nothing is queued while the master starts or stops") {
  Script script(settings(1));
  script.boot("A");
  CHECK(script.upgrade(7, queued("b.so")) == "answer 7 refused");
  CHECK(script.upgrade(8, rollback("Z")) == "answer 8 refused");
  script.ready(1);
  script.committed();
  script.stop(9);
  CHECK(script.upgrade(10, queued("b.so")) == "answer 10 refused");
  CHECK(script.upgrade(11, rollback("Z")) == "answer 11 refused");
}

TEST_CASE("queue: a stop answers all of them") {
  Script script = half_way();
  script.upgrade(8, queued("c.so"));
  CHECK(script.stop(9) == "answer 7 failed, answer 8 failed, drain 2 60000, drain 3 60000, kill 4");
  CHECK(script.answer_text() == "the master was told to stop");
  script.returned(2);
  script.returned(3);
  CHECK(script.crashed(4) == "answer 9 ok, quit");
}

TEST_CASE("rollback: a release of the store needs no preparation") {
  Script script = Script::booted(settings(2));
  CHECK(script.upgrade(7, rollback("Z")) == "spawn 3 in 0: Z");
  CHECK(script.engine().state() == std::string("upgrading"));
  CHECK(script.next() == 30'000);
  script.ready(3);
  CHECK(script.ready(4) == "drain 2 60000, commit Z");
  CHECK(script.committed() == "");
  CHECK(script.engine().release() == Release{"Z", "Z"});
  CHECK(script.engine().generation() == 2);
}

TEST_CASE("rollback: it ends an upgrade, and begins at once") {
  Script script = Script::booted(settings(2));
  SUBCASE("in its preparation: at once") {
    script.upgrade(7);
    CHECK(script.upgrade(8, rollback("Z")) == "cancel, answer 7 reverted, spawn 3 in 0: Z");
    CHECK(script.answer_text() == "aborted: a rollback was asked for");
    CHECK(script.prepared("B") == "");
  }
  SUBCASE("in its roll") {
    script.roll(7, {});
    CHECK(script.upgrade(8, rollback("Z")) == "kill 3, spawn 4 in 0: Z");
    CHECK(script.crashed(3) == "answer 7 reverted");
  }
  SUBCASE("half-way") {
    script.roll(7, {});
    script.ready(3);
    script.returned(1);
    CHECK(script.upgrade(8, rollback("Z")) == "kill 4, spawn 5 in 0: Z");
    CHECK(script.crashed(4) == "answer 7 reverted");
    CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: Z");
    CHECK(script.ready(6) == "drain 2 60000, commit Z");
  }
  SUBCASE("in probation") {
    Pace pace;
    pace.probation = Time{1'000};
    script.roll(7, pace);
    script.ready(3);
    script.ready(4);
    script.returned(1);
    script.returned(2);
    CHECK(script.upgrade(8, rollback("Z")) == "answer 7 reverted, spawn 5 in 0: Z");
    CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: Z");
    CHECK(script.ready(6) == "drain 4 60000, commit Z");
  }
}

TEST_CASE("rollback: what is on its way back already is taken over, and a commit is not torn") {
  Script script = half_way();
  SUBCASE("reverting") {
    script.crashed(4);
    CHECK(script.upgrade(8, rollback("Z")) == "answer 7 reverted, spawn 6 in 0: Z");
    CHECK(script.answer_text() == "slot 1, stage entry: killed by SIGSEGV");
    CHECK(script.ready(5) == "drain 3 60000");
    CHECK(script.ready(6) == "drain 5 60000, spawn 7 in 1: Z");
  }
  SUBCASE("committing") {
    CHECK(script.ready(4) == "drain 2 60000, commit B");
    CHECK(script.upgrade(8, rollback("Z")) == "");
    CHECK(script.committed() == "spawn 5 in 0: Z");
  }
}

TEST_CASE("rollback: to what is committed already is an upgrade like any other") {
  Script script = Script::booted(settings(1));
  CHECK(script.upgrade(7, rollback("A")) == "spawn 2 in 0: A");
  CHECK(script.ready(2) == "drain 1 60000, commit A");
}
