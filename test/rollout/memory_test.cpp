#include <doctest/doctest.h>

#include "script.hpp"

using namespace liveswap::rollout;

namespace {

constexpr std::uint64_t MiB = 1 << 20;

Settings with_memory(unsigned forks, std::uint64_t most) {
  auto with = settings(forks);
  with.max_memory = most * MiB;
  return with;
}

}  // namespace

TEST_CASE("memory: measured before every successor; one more of the largest must fit") {
  Script script = Script::booted(with_memory(2, 40));
  CHECK(script.roll(7, {}) == "measure");
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}}) == "spawn 3 in 0: B");
  CHECK(script.ready(3) == "measure, drain 1 60000");
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}, {3, 10 * MiB}}) == "spawn 4 in 1: B");
  CHECK(script.ready(4) == "measure, drain 2 60000, commit B");
  CHECK(script.committed() == "");
  CHECK(script.measured({}) == "");
}

TEST_CASE("memory: a draining worker is waited for") {
  Script script = Script::booted(with_memory(2, 39));
  script.roll(7, {});
  script.measured({{1, 10 * MiB}, {2, 10 * MiB}});
  CHECK(script.ready(3) == "measure, drain 1 60000");
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}, {3, 10 * MiB}}) == "");
  CHECK(script.next() == 60'000);
  CHECK(script.returned(1) == "spawn 4 in 1: B");
}

TEST_CASE("memory: one that has grown large does not count any more when it has gone") {
  Script script = Script::booted(with_memory(2, 20));
  script.roll(7, {});
  script.measured({{1, 5 * MiB}, {2, 5 * MiB}});
  script.ready(3);
  CHECK(script.measured({{1, 14 * MiB}, {2, 5 * MiB}, {3, 5 * MiB}}) == "");
  CHECK(script.returned(1) == "spawn 4 in 1: B");
}

TEST_CASE("memory: who is not measured yet will be as large as the largest") {
  Script script = Script::booted(with_memory(3, 50));
  Pace pace;
  pace.batch = 3;
  script.roll(7, pace);
  CHECK(script.measured({{1, 5 * MiB}, {2, 10 * MiB}, {3, 5 * MiB}}) ==
        "spawn 4 in 0: B, spawn 5 in 1: B, "
        "spawn 6 in 2: B");
  Script tight = Script::booted(with_memory(3, 49));
  tight.roll(7, pace);
  CHECK(tight.measured({{1, 5 * MiB}, {2, 10 * MiB}, {3, 5 * MiB}}) == "spawn 4 in 0: B, spawn 5 in 1: B");
  CHECK(tight.ready(4) == "measure, drain 1 60000");
  CHECK(tight.returned(1) == "");
  CHECK(tight.measured({{2, 10 * MiB}, {3, 5 * MiB}, {4, 8 * MiB}, {5, 2 * MiB}}) == "spawn 6 in 2: B");
}

TEST_CASE("memory: when nobody's end could make room the upgrade has failed, and says what to do") {
  Script script = Script::booted(with_memory(2, 29));
  script.roll(7, {});
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}}) == "answer 7 reverted");
  CHECK(
      script.answer_text() ==
      "no memory for a successor: the workers take 20 MiB, --max-memory is 29 MiB; raise it, or let the old "
      "worker go first (--surge 0)");
  CHECK(script.engine().state() == std::string("running"));
  CHECK(script.next() == -1);
}

TEST_CASE("memory: the first slot fits, the second does not: back again, which is not barred") {
  Script script = Script::booted(with_memory(2, 30));
  script.roll(7, {});
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}}) == "spawn 3 in 0: B");
  script.ready(3);
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}, {3, 25 * MiB}}) == "");
  CHECK(script.returned(1) == "spawn 4 in 0: A");
  CHECK(script.engine().state() == std::string("reverting"));
  CHECK(script.ready(4) == "measure, drain 3 60000");
  CHECK(script.returned(3) == "answer 7 reverted");
  CHECK(script.measured({{2, 10 * MiB}}) == "");
}

TEST_CASE("memory: a measurement that is late for its upgrade hurts nobody") {
  Script script = Script::booted(with_memory(1, 100));
  script.roll(7, {});
  CHECK(script.abort(8) == "answer 7 reverted, answer 8 ok");
  CHECK(script.measured({{1, 90 * MiB}}) == "");
  CHECK(script.roll(9, {}) == "measure");
  CHECK(script.measured({{1, 10 * MiB}, {2, 99 * MiB}}) == "spawn 2 in 0: B");
}

TEST_CASE("memory: who has gone meanwhile does not count") {
  Script script = Script::booted(with_memory(1, 30));
  script.roll(7, {});
  script.crashed(1);
  script.ready(2);
  CHECK(script.measured({{1, 25 * MiB}, {2, 10 * MiB}}) == "spawn 3 in 0: B");
}

TEST_CASE("memory: a dead worker is replaced whatever it takes") {
  Script script = Script::booted(with_memory(2, 30));
  CHECK(script.crashed(1) == "spawn 3 in 0: A");
  script.ready(3);
  script.roll(7, {});
  CHECK(script.crashed(2) == "spawn 4 in 1: A");
}

TEST_CASE("memory: without a limit nobody is measured; at the start neither; old first needs none") {
  Script unlimited = Script::booted(settings(1));
  CHECK(unlimited.roll(7, {}) == "spawn 2 in 0: B");
  Script starting(with_memory(1, 1));
  CHECK(starting.boot("A") == "spawn 1 in 0: A");
  CHECK(starting.ready(1) == "commit A");
  starting.committed();
  Pace old_first;
  old_first.surge = {0, false};
  CHECK(starting.roll(7, old_first) == "measure, drain 1 60000");
  CHECK(starting.returned(1) == "spawn 2 in 0: B");
}

TEST_CASE("memory: a flip needs room for all") {
  Script script = Script::booted(with_memory(2, 39));
  Pace pace;
  pace.flip = true;
  script.roll(7, pace);
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}}) == "stage 3 in 0: B");
  CHECK(script.ready(3) == "measure");
  CHECK(script.measured({{1, 10 * MiB}, {2, 10 * MiB}, {3, 10 * MiB}}) == "drain 3 60000");
  CHECK(script.returned(3) == "answer 7 reverted");
}
