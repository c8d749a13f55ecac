#include "cli/time_scale.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using liveswap::cli::TimeScale;
using Phases = std::vector<TimeScale::Phase>;

TEST_CASE("milliseconds beside a minute are told apart") {
  const TimeScale scale({{"rolling", 0}, {"baking", 20}, {"rolling", 60'020}}, {3, 5, 9, 60'021, 60'030},
                        60'040, 60);
  CHECK(scale.column(0) == 0);
  CHECK(scale.column(3) > scale.column(0));
  CHECK(scale.column(5) > scale.column(3));
  CHECK(scale.column(9) > scale.column(5));
  CHECK(scale.column(20) == scale.phases()[1].column);
  CHECK(scale.column(60'021) > scale.column(60'020));
  CHECK(scale.column(60'030) > scale.column(60'021));
  CHECK(scale.column(60'030) < 60);
  // Each phase has room for its name; together the phases have the whole width.
  std::size_t sum = 0;
  for (const auto& phase : scale.phases()) {
    CHECK(phase.columns > phase.name.size());
    sum += phase.columns;
  }
  CHECK(sum == 60);
}

TEST_CASE("without phases, without room, without moments") {
  CHECK(TimeScale({}, {}, 0, 10).column(5) == 0);
  CHECK(TimeScale({}, {}, 0, 0).column(5) == 0);
  const TimeScale scale(Phases(20, {"x", 5}), {7}, 10, 20);
  CHECK(scale.phases().size() == 1);
  CHECK(scale.column(7) > 0);
  CHECK(TimeScale({{"a", 0}, {"b", 0}, {"c", 0}}, {0}, 0, 12).column(0) == 8);
}

TEST_CASE("what comes later never stands further left, whatever there is") {
  std::mt19937 random(7);
  const auto up_to = [&](std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(0, most)(random);
  };
  for (int round = 0; round < 2000; ++round) {
    CAPTURE(round);
    Phases phases;
    std::vector<std::int64_t> moments;
    const auto length = up_to(1) ? up_to(100'000) : up_to(30);
    for (auto i = up_to(8); i > 0; --i)
      phases.push_back({std::string(static_cast<std::size_t>(up_to(12)), 'p'), up_to(length)});
    for (auto i = up_to(60); i > 0; --i) moments.push_back(up_to(length + 5));
    const auto width = static_cast<std::size_t>(up_to(150));
    const TimeScale scale(phases, moments, length, width);
    std::sort(moments.begin(), moments.end());
    std::size_t before = 0;
    for (const auto moment : moments) {
      const auto column = scale.column(std::min(moment, length));
      CHECK(column >= before);
      CHECK(column < std::max<std::size_t>(width, 1));
      before = column;
    }
    std::size_t next = 0;
    for (const auto& phase : scale.phases()) {
      CHECK(phase.column == next);
      CHECK(phase.columns > 0);
      next += phase.columns;
    }
    CHECK(next == std::max<std::size_t>(width, 1));
  }
}
