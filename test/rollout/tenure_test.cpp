#include <doctest/doctest.h>

#include "rollout/tenure.hpp"

using namespace liveswap::rollout;
using namespace std::chrono_literals;

namespace {

constexpr Tenure::Use served{
    .quiet = true, .serves = true, .known = true, .lasting = true, .inherited = false};

Tenure::Use unused() {
  Tenure::Use use = served;
  use.known = use.lasting = false;
  return use;
}

Tenure::Use drained() {  // the only worker that has it drains
  Tenure::Use use = served;
  use.lasting = false;
  return use;
}

Tenure::Use replaced() {
  Tenure::Use use = drained();
  use.inherited = true;
  return use;
}

Tenure::Use during_an_upgrade(Tenure::Use use) {
  use.quiet = false;
  return use;
}

}  // namespace

TEST_CASE("tenure: what is used stays, and nothing is due") {
  Tenure tenure;
  for (const Time now : {0ms, 1'000'000ms}) {
    CHECK_FALSE(tenure.is_over(now, served));
    CHECK_FALSE(tenure.may_leave(served));
    CHECK_FALSE(tenure.turns_away(now, served));
    CHECK_FALSE(tenure.passes_on());
  }
  CHECK(tenure.next() == std::nullopt);
}

TEST_CASE("tenure: what nobody uses is kept for those that bind late, from the end of the upgrade on") {
  for (const Tenure::Use& use : {unused(), drained()}) {
    Tenure tenure;
    CHECK_FALSE(tenure.is_over(0ms, during_an_upgrade(use)));
    CHECK_FALSE(tenure.is_over(90'000ms, during_an_upgrade(use)));
    CHECK(tenure.next() == std::nullopt);
    CHECK_FALSE(tenure.is_over(100'000ms, use));
    CHECK(tenure.next() == 102'000ms);
    CHECK_FALSE(tenure.is_over(101'999ms, use));
    CHECK(tenure.is_over(102'000ms, use));
  }
}

TEST_CASE("tenure: use, and the next upgrade, begin the time anew") {
  for (const Tenure::Use& between : {served, during_an_upgrade(unused())}) {
    Tenure tenure;
    CHECK_FALSE(tenure.is_over(0ms, unused()));
    CHECK_FALSE(tenure.is_over(1'999ms, between));
    CHECK(tenure.next() == std::nullopt);
    CHECK_FALSE(tenure.is_over(2'000ms, unused()));
    CHECK_FALSE(tenure.is_over(3'999ms, unused()));
    CHECK(tenure.is_over(4'000ms, unused()));
  }
}

TEST_CASE(
    "tenure: what an application has closed goes sooner, unless it was one that drains, or it binds it "
    "again") {
  Tenure tenure;
  tenure.closed(false);
  CHECK_FALSE(tenure.is_over(0ms, unused()));
  CHECK(tenure.next() == 1'000ms);
  SUBCASE("so it stays") { CHECK(tenure.is_over(1'000ms, unused())); }
  SUBCASE("by one that drains") {
    tenure.closed(true);
    CHECK_FALSE(tenure.is_over(1'999ms, unused()));
  }
  SUBCASE("bound again") {
    tenure.bound();
    CHECK_FALSE(tenure.is_over(1'999ms, unused()));
  }
  CHECK(tenure.is_over(2'000ms, unused()));
}

TEST_CASE("tenure: what has been bound and closed without a listen() goes at once") {
  Tenure tenure;
  Tenure::Use use = during_an_upgrade(unused());
  use.serves = false;
  CHECK(tenure.is_over(0ms, use));
  use.known = true;
  CHECK_FALSE(tenure.is_over(0ms, use));
}

TEST_CASE("tenure: what another listener inherits leaves at once, and is closed a second later") {
  Tenure tenure;
  CHECK_FALSE(tenure.is_over(0ms, unused()));
  REQUIRE(tenure.may_leave(replaced()));
  tenure.leaves(1'500ms);
  CHECK(tenure.is_leaving());
  CHECK(tenure.passes_on());
  CHECK_FALSE(tenure.may_leave(replaced()));
  CHECK(tenure.next() == 2'500ms);
  // Nothing holds it any more.
  CHECK_FALSE(tenure.is_over(2'499ms, during_an_upgrade(served)));
  CHECK(tenure.is_over(2'500ms, during_an_upgrade(served)));
}

TEST_CASE(
    "tenure: it leaves for an heir only, when it listens, outside of upgrades, and not under those that "
    "serve") {
  const Tenure tenure;
  Tenure::Use silent = replaced();
  silent.serves = false;
  Tenure::Use serving = replaced();
  serving.lasting = true;
  for (const Tenure::Use& use : {drained(), silent, serving, during_an_upgrade(replaced())})
    CHECK_FALSE(tenure.may_leave(use));
}

TEST_CASE("tenure: what cannot be withdrawn is not tried again, and is kept as if nobody inherited it") {
  Tenure tenure;
  REQUIRE(tenure.may_leave(replaced()));
  tenure.stays();
  CHECK_FALSE(tenure.may_leave(replaced()));
  CHECK_FALSE(tenure.is_over(0ms, replaced()));
  CHECK(tenure.is_over(2'000ms, replaced()));
}

TEST_CASE(
    "tenure: who waits in what is unwanted is turned away once, when late binders have had their time") {
  Tenure tenure;
  tenure.unwanted();
  CHECK(tenure.passes_on());
  CHECK_FALSE(tenure.turns_away(0ms, during_an_upgrade(served)));
  CHECK(tenure.next() == std::nullopt);
  CHECK_FALSE(tenure.turns_away(1'000ms, served));
  CHECK(tenure.next() == 3'000ms);
  SUBCASE("once") {}
  SUBCASE("another one begins the time anew") {
    tenure.unwanted();
    CHECK_FALSE(tenure.turns_away(3'000ms, served));
    CHECK(tenure.next() == 5'000ms);
  }
  SUBCASE("so does an upgrade") {
    CHECK_FALSE(tenure.turns_away(3'000ms, during_an_upgrade(served)));
    CHECK_FALSE(tenure.turns_away(4'000ms, served));
  }
  CHECK(tenure.turns_away(6'000ms, served));
  CHECK_FALSE(tenure.passes_on());
  CHECK_FALSE(tenure.turns_away(60'000ms, served));
}
