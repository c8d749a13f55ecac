#include <doctest/doctest.h>

#include <algorithm>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

// Lets the only worker die and says how long its slot stays empty.
long vacancy(Script& script) {
  script.crashed(script.engine().workers().rbegin()->first);
  return script.engine().workers().empty() ? script.next() : 0;
}

void wait_for_respawn(Script& script) {
  if (const long left = script.next(); script.engine().workers().empty()) script.pass(Time{left});
}

}  // namespace

TEST_CASE("respawn: the first death is replaced at once, by the committed release") {
  Script script = Script::booted(settings(2));
  CHECK(script.crashed(2) == "spawn 3 in 1: A");
  CHECK(script.engine().slots()[1].restarts == 1);
  CHECK(script.engine().slots()[0].restarts == 0);
}

TEST_CASE("respawn: a worker that returns although nobody asked it to is replaced too") {
  Script script = Script::booted(settings(1));
  CHECK(script.returned(1) == "spawn 2 in 0: A");
  CHECK(script.notes().back().kind == NoteKind::spawned);
}

TEST_CASE("respawn: a worker that stops serving is replaced, and has its whole drain limit for what it has") {
  auto with = settings(1);
  with.drain_limit = Time{60'000};
  Script script = Script::booted(with);
  REQUIRE(script.engine().workers().at(1).state == WorkerState::ready);
  CHECK(script.stopped_serving(1) == "drain 1 60000, spawn 2 in 0: A");
  CHECK(script.engine().workers().at(1).state == WorkerState::draining);
  CHECK(script.engine().workers().at(1).deadline ==
        script.engine().workers().at(1).drain_since + Time{60'000});
  CHECK(script.stopped_serving(1) == "");  // once
}

TEST_CASE("respawn: the wait doubles with every death, up to a cap, a quarter more or less") {
  auto with = settings(1);
  with.backoff_min = Time{100};
  with.backoff_max = Time{1'000};
  for (with.seed = 1; with.seed < 200; ++with.seed) {
    Script script = Script::booted(with);
    CHECK(vacancy(script) == 0);
    for (const long expected : {100, 200, 400, 800, 1'000, 1'000, 1'000}) {
      const long wait = vacancy(script);
      CHECK(wait >= expected * 3 / 4);
      CHECK(wait <= expected * 5 / 4);
      CHECK(script.engine().unserved_slots().size() == 1);
      wait_for_respawn(script);
      CHECK(script.engine().workers().size() == 1);
    }
  }
}

TEST_CASE("respawn: the jitter is spread over its range") {
  auto with = settings(1);
  long least = 1'000'000, most = 0;
  for (with.seed = 1; with.seed < 2'000; ++with.seed) {
    Script script = Script::booted(with);
    vacancy(script);
    const long wait = vacancy(script);
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  CHECK(least == 75);
  CHECK(most == 125);
}

TEST_CASE("respawn: a worker that has lived long enough starts the count anew") {
  auto with = settings(1);
  with.backoff_reset = Time{10'000};
  Script script = Script::booted(with);
  vacancy(script);
  vacancy(script);
  wait_for_respawn(script);
  script.ready(script.engine().workers().rbegin()->first);
  SUBCASE("long enough") {
    script.pass(Time{10'000});
    CHECK(vacancy(script) == 0);
    CHECK(vacancy(script) > 0);
  }
  SUBCASE("not quite") {
    script.pass(Time{9'999});
    CHECK(vacancy(script) >= 150);
  }
}

TEST_CASE("respawn: slots are counted one by one") {
  Script script = Script::booted(settings(2));
  script.crashed(1);
  CHECK(script.crashed(3) == "");
  CHECK(script.engine().unserved_slots() == std::set<unsigned>{0});
  CHECK(script.crashed(2) == "spawn 4 in 1: A");
}

TEST_CASE("respawn: a worker that cannot be spawned, or is never ready, is tried again") {
  Script script = Script::booted(settings(1));
  script.crashed(1);
  SUBCASE("not spawned") {
    CHECK(script.not_spawned(2) == "");
    CHECK(script.next() >= 75);
  }
  SUBCASE("never ready: its slot is empty while it leaves") {
    script.entered_deferred(2);
    CHECK(script.pass(Time{30'000}) == "+30000 drain 2 5000, +30000 spawn 3 in 0: A");
  }
}

TEST_CASE("respawn: nobody is respawned while no worker more is allowed") {
  auto with = settings(1);
  with.surge = {0, false};
  Script script = Script::booted(with);
  script.crashed(1);
  script.entered_deferred(2);
  CHECK(script.pass(Time{30'000}) == "+30000 drain 2 5000");
  CHECK(script.crashed(2) == "spawn 3 in 0: A");
}

TEST_CASE("respawn: a worker that a signal has stopped is told, gets no new connections, is not replaced") {
  Script script = Script::booted(settings(2));
  CHECK(script.stopped(1) == "");
  CHECK(script.notes().back().kind == NoteKind::stopped);
  CHECK(script.notes().back().worker == 1);
  CHECK(script.engine().unserved_slots() == std::set<unsigned>{0});
  const auto told = script.notes().size();
  CHECK(script.stopped(1) == "");  // once
  CHECK(script.notes().size() == told);
  CHECK(script.next() == -1);
  CHECK(script.stopped(1, false) == "");
  CHECK(script.notes().back().kind == NoteKind::continued);
  CHECK(script.engine().unserved_slots().empty());
  CHECK(script.stopped(7) == "");  // an unknown worker
}

TEST_CASE("respawn: a stopped worker that is killed is replaced") {
  Script script = Script::booted(settings(1));
  script.stopped(1);
  CHECK(script.crashed(1) == "spawn 2 in 0: A");
  script.ready(2);
  CHECK(script.engine().unserved_slots().empty());
}
