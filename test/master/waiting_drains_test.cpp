// Drains and flips that wait for accept queues.
#include "master/workers/waiting_drains.hpp"

#include <set>

#include "master/sockets/pending_flip.hpp"
#include "test_loop.hpp"

using namespace liveswap::master;
using liveswap::test::TestLoop;
namespace rollout = liveswap::rollout;
using rollout::Time;

namespace {

struct Drains {
  TestLoop loop;
  std::set<rollout::WorkerId> crowded;
  std::vector<rollout::Drain> told;
  WaitingDrains drains{loop,
                       {[this](rollout::WorkerId id) { return crowded.contains(id); },
                        [this](const rollout::Drain& order) { told.push_back(order); }}};
};

}  // namespace

TEST_CASE("waiting drains: a worker whose queue is empty is told at once") {
  Drains all;
  all.drains.drain({1, Time{5'000}});
  REQUIRE(all.told.size() == 1);
  CHECK(all.told[0].worker == 1);
  CHECK(all.told[0].limit == Time{5'000});
  CHECK_FALSE(all.loop.has_timer());
}

TEST_CASE("waiting drains: the others when their queues have become empty, with what is left of the limit") {
  Drains all;
  all.crowded = {1, 2};
  all.drains.drain({1, Time{60'000}});
  all.drains.drain({2, std::nullopt});
  CHECK(all.told.empty());
  all.crowded = {2};
  REQUIRE(all.loop.until([&] { return !all.told.empty(); }));
  REQUIRE(all.told.size() == 1);
  CHECK(all.told[0].worker == 1);
  CHECK(*all.told[0].limit < Time{60'000});
  all.crowded.clear();
  REQUIRE(all.loop.until([&] { return all.told.size() == 2; }));
  CHECK(all.told[1].worker == 2);
  CHECK_FALSE(all.told[1].limit.has_value());
  CHECK_FALSE(all.loop.has_timer());
}

TEST_CASE("waiting drains: a queue that stays full holds a worker up for its limit, and no longer") {
  Drains all;
  all.crowded = {1};
  all.drains.drain({1, Time{30}});
  CHECK(all.told.empty());
  REQUIRE(all.loop.until([&] { return !all.told.empty(); }));
  CHECK(all.told[0].limit == Time{0});
}

TEST_CASE("pending flip: done when nothing waits in the old sockets any more") {
  TestLoop loop;
  std::size_t waiting = 2;
  unsigned done = 0;
  PendingFlip flip(
      loop, [&] { return waiting; }, [&] { ++done; });
  flip.begin();
  unsigned looks = 0;
  Timer other(loop);
  other.start(3 * PendingFlip::look_interval, [&] { ++looks; });
  REQUIRE(loop.until([&] { return looks == 1; }));
  CHECK(done == 0);
  waiting = 0;
  REQUIRE(loop.until([&] { return done == 1; }));
  CHECK_FALSE(loop.has_timer());
  flip.begin();
  CHECK(done == 2);
}

TEST_CASE("pending flip: a connection that no worker accepts holds it up for its limit") {
  TestLoop loop;
  unsigned done = 0;
  PendingFlip flip(
      loop, [] { return std::size_t{1}; }, [&] { ++done; });
  const auto began = now();
  flip.begin();
  REQUIRE(loop.until([&] { return done == 1; }));
  CHECK(now() - began >= PendingFlip::limit);
}
