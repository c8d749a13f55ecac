#include "rollout/waiting_drains.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace liveswap::rollout;
using namespace std::chrono_literals;

namespace {

struct Drains {
  std::set<WorkerId> crowded;
  WaitingDrains drains;

  // The drains that are due, which are told at once.
  std::vector<Drain> due(Time now) {
    std::vector<Drain> told;
    while (const auto order = drains.due(now, [this](WorkerId id) { return crowded.contains(id); })) {
      told.push_back(*order);
      drains.remove(order->worker);
    }
    return told;
  }
};

}  // namespace

TEST_CASE("waiting drains: a worker whose queue is empty is told at once") {
  Drains all;
  all.drains.add(0ms, {1, 5'000ms});
  const auto told = all.due(0ms);
  REQUIRE(told.size() == 1);
  CHECK(told[0].worker == 1);
  CHECK(told[0].limit == 5'000ms);
  CHECK(all.drains.empty());
}

TEST_CASE("waiting drains: the others when their queues have become empty, with what is left of the limit") {
  Drains all;
  all.crowded = {1, 2};
  all.drains.add(100ms, {1, 60'000ms});
  all.drains.add(200ms, {2, std::nullopt});
  CHECK(all.due(200ms).empty());
  all.crowded = {2};
  auto told = all.due(1'100ms);
  REQUIRE(told.size() == 1);
  CHECK(told[0].worker == 1);
  CHECK(told[0].limit == 59'000ms);
  CHECK_FALSE(all.drains.empty());
  all.crowded.clear();
  told = all.due(1'120ms);
  REQUIRE(told.size() == 1);
  CHECK(told[0].worker == 2);
  CHECK_FALSE(told[0].limit.has_value());
  CHECK(all.drains.empty());
}

TEST_CASE("waiting drains: a queue that stays full holds a worker up for its limit, and no longer") {
  Drains all;
  all.crowded = {1, 2};
  all.drains.add(0ms, {1, 30ms});
  all.drains.add(0ms, {2, std::nullopt});
  CHECK(all.due(29ms).empty());
  const auto told = all.due(30ms);
  REQUIRE(told.size() == 1);
  CHECK(told[0].limit == 0ms);
  CHECK(all.due(29'999ms).empty());
  CHECK(all.due(30'000ms).size() == 1);
}
