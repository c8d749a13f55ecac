#include "verify/interrupt.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "verify/child.hpp"
#include "verify/workplace.hpp"

namespace liveswap::verify {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("a signal ends waits and calls the handler once") {
  Interrupt interrupt;
  std::atomic<int> calls = 0;
  interrupt.set_handler([&] { ++calls; });
  CHECK(interrupt.number() == 0);
  CHECK(interrupt.pause(milliseconds(1)));
  ::kill(::getpid(), SIGTERM);
  const auto begun = Clock::now();
  CHECK_FALSE(interrupt.pause(seconds(20)));
  CHECK_FALSE(interrupt.wait(seconds(20), [] { return false; }));
  CHECK(Clock::now() - begun < seconds(10));
  CHECK(interrupt.number() == SIGTERM);
  ::kill(::getpid(), SIGINT);
  interrupt.set_handler({});
  CHECK(calls == 1);

  SUBCASE("one that comes later is called at once") {
    interrupt.set_handler([&] { ++calls; });
    CHECK(calls == 2);
  }
}

TEST_CASE("a wait ends with its condition, and with its limit") {
  Interrupt interrupt;
  int looks = 0;
  CHECK(interrupt.wait(seconds(20), [&] { return ++looks == 3; }));
  CHECK(looks == 3);
  CHECK_FALSE(interrupt.wait(milliseconds(30), [] { return false; }));
}

TEST_CASE("a child ends with the object that owns it, and says how it ended") {
  const auto place = Workplace::make();
  REQUIRE(place);
  auto well = Child::start({"/bin/sh", "-c", "exit 0"}, *place / "log");
  auto badly = Child::start({"/bin/sh", "-c", "kill -9 $$"}, *place / "log");
  REQUIRE(well);
  REQUIRE(badly);
  CHECK(well->ended(seconds(10)));
  CHECK(well->ended_well());
  CHECK(badly->ended(seconds(10)));
  CHECK(badly->ending() == "SIGKILL");
  pid_t pid = 0;
  {
    auto sleeps = Child::start({"/bin/sleep", "1000"}, *place / "log");
    REQUIRE(sleeps);
    CHECK_FALSE(sleeps->ended());
    pid = sleeps->pid();
  }
  CHECK(::kill(pid, 0) != 0);
}

}  // namespace
}  // namespace liveswap::verify
