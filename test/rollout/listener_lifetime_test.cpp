#include <doctest/doctest.h>

#include "rollout/listener_lifetime.hpp"

using namespace liveswap::rollout;
using namespace std::chrono_literals;

namespace {

constexpr ListenerLifetime::Use served{
    .quiet = true, .serves = true, .known = true, .lasting = true, .has_substitute = false};

ListenerLifetime::Use unused() {
  ListenerLifetime::Use use = served;
  use.known = use.lasting = false;
  return use;
}

ListenerLifetime::Use drained() {  // the only worker that has the listener drains
  ListenerLifetime::Use use = served;
  use.lasting = false;
  return use;
}

ListenerLifetime::Use replaced() {
  ListenerLifetime::Use use = drained();
  use.has_substitute = true;
  return use;
}

ListenerLifetime::Use during_an_upgrade(ListenerLifetime::Use use) {
  use.quiet = false;
  return use;
}

}  // namespace

TEST_CASE("lifetime: what is used stays, and nothing is due") {
  ListenerLifetime lifetime;
  for (const Time now : {0ms, 1'000'000ms}) {
    CHECK_FALSE(lifetime.is_over(now, served));
    CHECK_FALSE(lifetime.may_leave(served));
    CHECK_FALSE(lifetime.turns_away(now, served));
    CHECK_FALSE(lifetime.passes_on());
  }
  CHECK(lifetime.next() == std::nullopt);
}

TEST_CASE("lifetime: what nobody uses is kept for those that bind late, from the end of the upgrade on") {
  for (const ListenerLifetime::Use& use : {unused(), drained()}) {
    ListenerLifetime lifetime;
    CHECK_FALSE(lifetime.is_over(0ms, during_an_upgrade(use)));
    CHECK_FALSE(lifetime.is_over(90'000ms, during_an_upgrade(use)));
    CHECK(lifetime.next() == std::nullopt);
    CHECK_FALSE(lifetime.is_over(100'000ms, use));
    CHECK(lifetime.next() == 102'000ms);
    CHECK_FALSE(lifetime.is_over(101'999ms, use));
    CHECK(lifetime.is_over(102'000ms, use));
  }
}

TEST_CASE("lifetime: use, and the next upgrade, begin the time anew") {
  for (const ListenerLifetime::Use& between : {served, during_an_upgrade(unused())}) {
    ListenerLifetime lifetime;
    CHECK_FALSE(lifetime.is_over(0ms, unused()));
    CHECK_FALSE(lifetime.is_over(1'999ms, between));
    CHECK(lifetime.next() == std::nullopt);
    CHECK_FALSE(lifetime.is_over(2'000ms, unused()));
    CHECK_FALSE(lifetime.is_over(3'999ms, unused()));
    CHECK(lifetime.is_over(4'000ms, unused()));
  }
}

TEST_CASE(
    "lifetime: what an application has closed goes sooner, unless it was one that drains, or it binds it "
    "again") {
  ListenerLifetime lifetime;
  lifetime.closed(false);
  CHECK_FALSE(lifetime.is_over(0ms, unused()));
  CHECK(lifetime.next() == 1'000ms);
  SUBCASE("so it stays") { CHECK(lifetime.is_over(1'000ms, unused())); }
  SUBCASE("by one that drains") {
    lifetime.closed(true);
    CHECK_FALSE(lifetime.is_over(1'999ms, unused()));
  }
  SUBCASE("bound again") {
    lifetime.bound();
    CHECK_FALSE(lifetime.is_over(1'999ms, unused()));
  }
  CHECK(lifetime.is_over(2'000ms, unused()));
}

TEST_CASE("lifetime: what has been bound and closed without a listen() goes at once") {
  ListenerLifetime lifetime;
  ListenerLifetime::Use use = during_an_upgrade(unused());
  use.serves = false;
  CHECK(lifetime.is_over(0ms, use));
  use.known = true;
  CHECK_FALSE(lifetime.is_over(0ms, use));
}

TEST_CASE("lifetime: what another listener inherits leaves at once, and is closed a second later") {
  ListenerLifetime lifetime;
  CHECK_FALSE(lifetime.is_over(0ms, unused()));
  REQUIRE(lifetime.may_leave(replaced()));
  lifetime.leaves(1'500ms);
  CHECK(lifetime.is_leaving());
  CHECK(lifetime.passes_on());
  CHECK_FALSE(lifetime.may_leave(replaced()));
  CHECK(lifetime.next() == 2'500ms);
  // No worker has the listener any more.
  CHECK_FALSE(lifetime.is_over(2'499ms, during_an_upgrade(served)));
  CHECK(lifetime.is_over(2'500ms, during_an_upgrade(served)));
}

TEST_CASE(
    "lifetime: a listener is withdrawn only if it listens, has a substitute and no serving worker, and "
    "outside of "
    "upgrades") {
  const ListenerLifetime lifetime;
  ListenerLifetime::Use silent = replaced();
  silent.serves = false;
  ListenerLifetime::Use serving = replaced();
  serving.lasting = true;
  for (const ListenerLifetime::Use& use : {drained(), silent, serving, during_an_upgrade(replaced())})
    CHECK_FALSE(lifetime.may_leave(use));
}

TEST_CASE("lifetime: what cannot be withdrawn is not tried again, and is kept as if it had no substitute") {
  ListenerLifetime lifetime;
  REQUIRE(lifetime.may_leave(replaced()));
  lifetime.stays();
  CHECK_FALSE(lifetime.may_leave(replaced()));
  CHECK_FALSE(lifetime.is_over(0ms, replaced()));
  CHECK(lifetime.is_over(2'000ms, replaced()));
}

TEST_CASE(
    "lifetime: who waits in what is unwanted is turned away once, when late binders have had their time") {
  ListenerLifetime lifetime;
  lifetime.unwanted();
  CHECK(lifetime.passes_on());
  CHECK_FALSE(lifetime.turns_away(0ms, during_an_upgrade(served)));
  CHECK(lifetime.next() == std::nullopt);
  CHECK_FALSE(lifetime.turns_away(1'000ms, served));
  CHECK(lifetime.next() == 3'000ms);
  SUBCASE("once") {}
  SUBCASE("another one begins the time anew") {
    lifetime.unwanted();
    CHECK_FALSE(lifetime.turns_away(3'000ms, served));
    CHECK(lifetime.next() == 5'000ms);
  }
  SUBCASE("so does an upgrade") {
    CHECK_FALSE(lifetime.turns_away(3'000ms, during_an_upgrade(served)));
    CHECK_FALSE(lifetime.turns_away(4'000ms, served));
  }
  CHECK(lifetime.turns_away(6'000ms, served));
  CHECK_FALSE(lifetime.passes_on());
  CHECK_FALSE(lifetime.turns_away(60'000ms, served));
}
