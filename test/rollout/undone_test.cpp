#include "rollout/undone.hpp"

#include <doctest/doctest.h>

#include "script.hpp"
#include "words.hpp"

using namespace liveswap::rollout;

namespace {

std::string due(const Command& command, const Script& script) {
  const auto by_now = still_due(command, script.engine());
  return by_now ? in_words(*by_now) : "nothing";
}

// Two of three slots were removed; the engine has ordered to close their sockets.
Script shrunk() {
  auto with = settings(3);
  with.unsteer = Time{200};
  Script script = Script::booted(with);
  script.forks(7, 1);
  script.pass(Time{200});
  script.returned(2);
  REQUIRE(script.returned(3) == "close from 1, answer 7 ok");
  return script;
}

}  // namespace

TEST_CASE("undone: slots that are still no more are closed") {
  const Script script = shrunk();
  CHECK(due(CloseSlots{1}, script) == "close from 1");
}

TEST_CASE("undone: the sockets of slots that have come back are not closed") {
  Script script = shrunk();
  script.forks(8, 2);
  CHECK(due(CloseSlots{1}, script) == "close from 2");
  CHECK(due(Steer{1}, script) == "steer below 2");
  script.ready(4);
  CHECK(due(CloseSlots{1}, script) == "close from 2");
}

TEST_CASE("undone: nor those of slots that serve on until they are given up once more") {
  Script script = shrunk();
  script.forks(8, 3);
  script.ready(4);
  script.ready(5);
  REQUIRE(script.forks(9, 2) == "steer below 2");
  CHECK(due(CloseSlots{1}, script) == "close from 3");
  CHECK(due(Steer{1}, script) == "steer below 2");
}

TEST_CASE("undone: a preparation is cancelled, but not that of the next upgrade") {
  Script script = Script::booted(settings(1));
  script.upgrade(7);
  script.abort(8);
  CHECK(due(CancelPrepare{}, script) == "cancel");
  script.upgrade(9);
  CHECK(due(CancelPrepare{}, script) == "nothing");
}

TEST_CASE("undone: what concerns one worker stays as it was") {
  const Script script = Script::booted(settings(1));
  CHECK(due(Signal{1, true}, script) == in_words(Signal{1, true}));
}
