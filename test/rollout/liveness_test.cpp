#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

Settings watched(unsigned forks) {
  Settings with = settings(forks);
  with.liveness_failures = 3;
  return with;
}

// Booted, and every worker has answered once.
Script answering(const Settings& settings) {
  Script script = Script::booted(settings);
  for (WorkerId worker = 1; worker <= settings.forks; ++worker) script.answered(worker);
  return script;
}

// Three unanswered checks in a row; what the engine orders at the last.
std::string hang(Script& script, WorkerId worker) {
  script.unanswered(worker);
  script.unanswered(worker);
  return script.unanswered(worker);
}

}  // namespace

TEST_CASE("liveness: the successor of a hung worker comes first; then the hung one is killed, not drained") {
  Script script = answering(watched(2));
  CHECK(script.unanswered(2) == "");
  CHECK(script.notes().back().kind == NoteKind::silent);
  CHECK(script.unanswered(2) == "");
  CHECK(script.unanswered(2) == "spawn 3 in 1: A");
  CHECK(script.engine().slots()[1].restarts == 1);
  CHECK(script.ready(3) == "kill 2");
  CHECK(script.crashed(2) == "");
  CHECK(script.parting() == Parting::forced);
  CHECK(script.engine().unserved_slots().empty());
  CHECK(script.next() == -1);
}

TEST_CASE("liveness: one unanswered check sends new connections to the other slots, an answer back") {
  Script script = answering(watched(2));
  script.unanswered(1);
  CHECK(script.engine().unserved_slots() == std::set<unsigned>{0});
  script.unanswered(1);
  CHECK(script.answered(1) == "");
  CHECK(script.notes().back().kind == NoteKind::answering);
  CHECK(script.engine().unserved_slots().empty());
  // The row begins anew.
  script.unanswered(1);
  CHECK(script.unanswered(1) == "");
  CHECK(script.unanswered(1) == "spawn 3 in 0: A");
}

TEST_CASE("liveness: without the option nobody hangs") {
  Script script = answering(settings(1));
  for (int i = 0; i < 50; ++i) CHECK(script.unanswered(1) == "");
}

TEST_CASE("liveness: one slot at a time") {
  Script script = answering(watched(3));
  CHECK(hang(script, 1) == "spawn 4 in 0: A");
  CHECK(hang(script, 2) == "");
  CHECK(hang(script, 3) == "");
  CHECK(script.ready(4) == "kill 1, spawn 5 in 1: A");
  CHECK(script.crashed(1) == "");
  CHECK(script.ready(5) == "kill 2, spawn 6 in 2: A");
  CHECK(script.ready(6) == "kill 3");
}

TEST_CASE("liveness: a worker that answers again keeps its place, or drains if its successor has begun") {
  Script script = answering(watched(2));
  hang(script, 1);
  CHECK(script.answered(1) == "");
  CHECK(script.ready(3) == "drain 1 60000");

  Script waits = answering(watched(2));
  hang(waits, 1);
  hang(waits, 2);  // waits for the first
  waits.answered(2);
  CHECK(waits.ready(3) == "kill 1");
  CHECK(waits.engine().workers().at(2).state == WorkerState::ready);
}

TEST_CASE("liveness: a check that no worker has ever answered judges nobody") {
  Script script = Script::booted(watched(2));
  CHECK(hang(script, 1) == "");
  script.pass(Time{60'000});
  CHECK(hang(script, 1) == "");
  CHECK(script.engine().unserved_slots().empty());
  script.answered(2);
  CHECK(script.unanswered(1) == "spawn 3 in 0: A");
}

TEST_CASE(
    "liveness: a worker that has never answered gets three seconds; one that cannot be asked is spared") {
  Script script = answering(watched(2));
  script.crashed(1);
  script.ready(3);
  for (int i = 0; i < 3; ++i) {
    CHECK(script.unanswered(3) == "");
    script.pass(Time{900});
  }
  SUBCASE("hung from the start") {
    script.pass(Time{300});
    CHECK(script.unanswered(3) == "spawn 4 in 0: A");
  }
  SUBCASE("cannot be asked") {
    CHECK(script.cannot_be_asked(3) == "");
    script.pass(Time{10'000});
    CHECK(script.unanswered(3) == "");
    CHECK(script.unanswered(3) == "");
  }
}

TEST_CASE("liveness: a worker can be asked where another one of its release has answered") {
  Script script = Script::booted(watched(2));
  CHECK_FALSE(script.engine().can_be_asked(1));
  script.answered(1);
  CHECK_FALSE(script.engine().can_be_asked(1));
  CHECK(script.engine().can_be_asked(2));
  script.roll(1, {});
  script.ready(3);
  CHECK_FALSE(script.engine().can_be_asked(3));
}

TEST_CASE("liveness: only a worker that serves is asked") {
  Script script = answering(watched(1));
  script.crashed(1);
  CHECK(hang(script, 1) == "");  // gone
  CHECK(hang(script, 2) == "");  // starting
  script.ready(2);
  script.roll(1, {});
  script.ready(3);
  CHECK(script.engine().workers().at(2).state == WorkerState::draining);
  CHECK(hang(script, 2) == "");
}

TEST_CASE("liveness: a slot whose workers hang again and again is not replaced in a loop") {
  Script script = answering(watched(4));
  WorkerId next = 5;
  const auto replace = [&](WorkerId hung) {
    hang(script, hung);
    if (script.engine().workers().count(next) == 0) return false;
    script.ready(next);
    script.crashed(hung);
    script.answered(next++);
    return true;
  };
  REQUIRE(replace(1));
  CHECK_FALSE(replace(5));
  CHECK(script.engine().replace_at().has_value());
  CHECK(script.pass(Time{4'999}) == "");
  CHECK(script.pass(Time{1}) == "+1 spawn 6 in 0: A");
  script.ready(6);
  script.answered(6);
  ++next;
  CHECK_FALSE(replace(6));
  CHECK(script.pass(Time{9'999}) == "");
  CHECK(script.pass(Time{1}) == "+1 spawn 7 in 0: A");
}

TEST_CASE("liveness: a successor that cannot start is tried again; the hung worker stays until one serves") {
  Script script = answering(watched(2));
  hang(script, 1);
  CHECK(script.crashed(3) == "");
  CHECK(script.engine().workers().count(1) == 1);
  CHECK(script.pass(Time{5'000}) == "+5000 spawn 4 in 0: A");
  CHECK(script.ready(4) == "kill 1");
}

TEST_CASE("liveness: old before new with surge 0, one slot at a time") {
  auto with = watched(2);
  with.surge = {0, false};
  Script script = answering(with);
  CHECK(hang(script, 1) == "kill 1");
  CHECK(hang(script, 2) == "");
  CHECK(script.crashed(1) == "spawn 3 in 0: A");
  CHECK(script.ready(3) == "kill 2");
}

TEST_CASE("liveness: without zero downtime, too, old before new") {
  auto with = watched(2);
  with.zero_downtime = false;
  Script script = answering(with);
  CHECK(hang(script, 1) == "kill 1, spawn 3 in 0: A");
}

TEST_CASE("liveness: another check begins anew: nobody hangs by what the former one has found") {
  Script script = answering(watched(2));
  script.unanswered(1);
  script.unanswered(1);
  script.forget_liveness();
  CHECK(script.engine().unserved_slots().empty());
  CHECK(hang(script, 1) == "");  // no worker has answered the new check
  script.answered(2);
  script.pass(Time{3'000});
  CHECK(script.unanswered(1) == "spawn 3 in 0: A");
}

TEST_CASE("liveness: a canary that hangs fails the upgrade; the revert kills it") {
  Script script = answering(watched(3));
  Pace pace;
  pace.canary = {1, false};
  script.roll(1, pace);
  script.ready(4);
  CHECK(script.returned(1) == "");
  script.answered(4);
  CHECK(hang(script, 4) == "spawn 5 in 0: A");
  CHECK(script.ready(5) == "kill 4");
  CHECK(script.crashed(4) == "answer 1 reverted");
  CHECK(script.answer_text().find("slot 0, stage run: it hangs: 3 liveness checks in a row unanswered, the "
                                  "last: no answer within 1000 ms") == 0);
}

TEST_CASE("liveness: a new release that never answers hangs, too, for the old one has answered") {
  auto with = watched(1);
  with.probation = Time{60'000};
  Script script = answering(with);
  script.roll(1, with);
  script.ready(2);
  script.returned(1);
  script.unanswered(2);
  script.unanswered(2);
  script.pass(Time{3'000});
  CHECK(script.unanswered(2) == "spawn 3 in 0: A");
  CHECK(script.engine().reverting());
}

TEST_CASE("liveness: a hung old worker waits for the turn of its slot, and is killed then") {
  Script script = answering(watched(2));
  script.roll(1, {});  // slot 0 has its turn: worker 3
  CHECK(hang(script, 1) == "");
  CHECK(script.ready(3) == "kill 1, spawn 4 in 1: B");
}

TEST_CASE("liveness: while another slot bakes, a hung old worker is replaced by the old release") {
  Script script = answering(watched(2));
  Pace pace;
  pace.canary = {1, false};
  script.roll(1, pace);
  script.ready(3);
  CHECK(hang(script, 2) == "spawn 4 in 1: A");
  CHECK(script.ready(4) == "kill 2");
}

TEST_CASE("liveness: a hung worker does not hold up a stop") {
  Script script = answering(watched(2));
  hang(script, 1);
  script.ready(3);
  hang(script, 2);
  script.stop(7);
  CHECK(script.engine().workers().at(2).step == DrainStep::killed);
  CHECK(script.next() > 0);
  for (const WorkerId worker : {1, 2, 3}) script.returned(worker);
  CHECK_FALSE(script.engine().replace_at());
}
