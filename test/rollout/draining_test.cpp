#include <doctest/doctest.h>

#include <string>

#include "script.hpp"

using namespace liveswap::rollout;

// Workers that only drain delay neither a rollback nor an upgrade.
namespace {

constexpr std::uint64_t MiB = 1 << 20;

UpgradeRequest rollback(const std::string& release, const Pace& pace = {}) {
  UpgradeRequest wish = stored(release, pace);
  wish.overtake = true;
  return wish;
}

// Carries out an upgrade to the commit; its old workers go on draining. `first` is the number of its first
// worker.
void upgrade(Script& script, RequestId request, WorkerId first, unsigned forks, const std::string& release) {
  script.roll(request, {}, release);
  for (WorkerId worker = first; worker < first + forks; ++worker) script.ready(worker);
  script.committed();
}

Script old_first(unsigned forks, std::optional<Time> drain_limit = Time{60'000}) {
  auto with = settings(forks);
  with.surge = {0, false};
  with.drain_limit = drain_limit;
  return Script::booted(with);
}

}  // namespace

TEST_CASE("draining: the fix of a bad release starts at once, whoever drains, and so does a rollback") {
  auto with = settings(2);
  SUBCASE("surge as usual") {}
  SUBCASE("one worker beyond forks") { with.surge = {1, false}; }
  Script script = Script::booted(with);
  upgrade(script, 7, 3, 2, "B");
  CHECK(script.roll(8, with, "C") == "spawn 5 in 0: C");
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: C");
  CHECK(script.ready(6) == "drain 4 60000, commit C");
  script.committed();
  Pace at_once = with;
  at_once.batch = 2;
  const std::string spawned = script.upgrade(9, rollback("A", at_once));
  CHECK(spawned == (with.surge.percent ? "spawn 7 in 0: A, spawn 8 in 1: A" : "spawn 7 in 0: A"));
}

TEST_CASE("draining: beyond the limit the longest get force, and are told why") {
  auto with = settings(2);
  with.max_draining = {3, false};
  Script script = Script::booted(with);
  upgrade(script, 7, 3, 2, "B");
  script.pass(Time{10});
  script.roll(8, {}, "C");
  CHECK(script.ready(5) == "drain 3 60000, spawn 6 in 1: C");
  CHECK(script.ready(6) == "drain 4 60000, commit C, revoke 1");
  CHECK(script.notes().back().kind == NoteKind::forced);
  CHECK(script.notes().back().text == "it was the longest of more than 3 draining workers (--max-draining)");
  CHECK(script.pass(Time{4'000}) == "+2000 term 1, +4000 kill 1");
  script.committed();
  script.returned(2);
  CHECK(script.crashed(1) == "answer 7 ok");
  CHECK(script.answer_text() ==
        "generation 2 serves in 2 slots; the worker of generation 1 in slot 0 was the longest of more than 3 "
        "draining workers "
        "(--max-draining) and was ended by force (killed by SIGSEGV)");
}

TEST_CASE("draining: an upgrade ends none of those that it has itself told to drain") {
  auto with = settings(3);
  with.max_draining = {1, false};
  with.batch = 3;
  Script script = Script::booted(with);
  script.upgrade(7, file(with));
  script.prepared("B");
  CHECK(script.ready(4) == "drain 1 60000");
  CHECK(script.ready(5) == "drain 2 60000");
  CHECK(script.ready(6) == "drain 3 60000, commit B");
}

TEST_CASE("draining: neither a stop nor vanishing slots are a crowd") {
  auto with = settings(3);
  with.max_draining = {100, true};
  Script script = Script::booted(with);
  SUBCASE("stop") {
    upgrade(script, 7, 4, 3, "B");
    CHECK(script.stop(8) == "drain 4 60000, drain 5 60000, drain 6 60000");
  }
  SUBCASE("fewer forks") { CHECK(script.forks(8, 1) == "steer below 1, drain 2 60000, drain 3 60000"); }
}

TEST_CASE("draining: slots that vanish are in no upgrade's way") {
  Script script = Script::booted(settings(3));
  script.forks(7, 2);
  script.pass(Time{0});
  CHECK(script.upgrade(8, rollback("Z")) == "spawn 4 in 0: Z");
  CHECK(script.forks(9, 4) == "answer 9 refused");
  CHECK(script.ready(4) == "drain 1 60000, spawn 5 in 1: Z");
  CHECK(script.returned(3) == "close from 2, answer 7 ok");
  CHECK(script.ready(5) == "drain 2 60000, commit Z");
}

TEST_CASE("draining: without surge the way forward waits for the drain, the way back does not") {
  Script script = old_first(1);
  Pace pace;
  pace.surge = {0, false};
  CHECK(script.roll(7, pace) == "drain 1 60000");
  CHECK(script.pass(Time{5'000}) == "");
  SUBCASE("a worker that drains already") {
    CHECK(script.upgrade(8, rollback("Z", pace)) == "revoke 1");
    CHECK(script.pass(Time{400}) == "+200 term 1, +400 kill 1");
    CHECK(script.crashed(1) == "answer 7 reverted, spawn 2 in 0: Z");
  }
  SUBCASE("an abort") {
    CHECK(script.abort(8) == "revoke 1");
    CHECK(script.returned(1) == "spawn 2 in 0: A");
  }
  SUBCASE("one that serves has a moment") {
    script.returned(1);
    script.ready(2);
    script.committed();
    CHECK(script.upgrade(8, rollback("A", pace)) == "drain 2 200");
    CHECK(script.pass(Time{600}) == "+200 revoke 2, +400 term 2, +600 kill 2");
    CHECK(script.crashed(2) == "spawn 3 in 0: A");
    script.ready(3);
    CHECK(script.committed() == "answer 8 ok");
    CHECK(script.answer_text() ==
          "generation 3 serves in 1 slot; the worker of generation 2 in slot 0 kept its successor from "
          "starting (surge 0) and was ended by force (killed by SIGSEGV)");
  }
}

TEST_CASE("draining: without surge and without a drain limit the way back does not wait either") {
  Script script = old_first(1, std::nullopt);
  Pace pace;
  pace.surge = {0, false};
  CHECK(script.roll(7, pace) == "drain 1 without limit");
  CHECK(script.upgrade(8, rollback("Z", pace)) == "");
  CHECK(script.next() == 200);
  CHECK(script.pass(Time{200}) == "+200 revoke 1");
}

TEST_CASE("draining: a roll forward waits for memory, and says so; the way back does not") {
  auto with = settings(2);
  with.max_memory = 35 * MiB;
  Script script = Script::booted(with);
  script.roll(7, {});
  script.measured({{1, 10 * MiB}, {2, 10 * MiB}});
  script.ready(3);
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}, {3, 10 * MiB}}) == "");
  CHECK(script.notes().back().kind == NoteKind::waiting);
  CHECK(script.notes().back().text ==
        "no memory for a further worker until another one has gone: the workers take 30 MiB, --max-memory is "
        "35 MiB");
  SUBCASE("a rollback, before anything is measured again") {
    CHECK(script.upgrade(8, rollback("Z")) == "measure, spawn 4 in 0: Z");
  }
  SUBCASE("an abort") { CHECK(script.abort(8) == "spawn 4 in 0: A"); }
  SUBCASE("a rollback after the commit") {
    CHECK(script.returned(1) == "spawn 4 in 1: B");
    script.ready(4);
    script.measured({});
    script.committed();
    CHECK(script.upgrade(8, rollback("A")) == "measure, spawn 5 in 0: A");
  }
}
