#include "base/line_limit.hpp"

#include <doctest/doctest.h>

using namespace liveswap;
using namespace std::chrono_literals;

TEST_CASE("line limit: the first lines of a period are let through, the others counted once it is over") {
  LineLimit limit(2, 1'000ms);
  CHECK(limit.take(5'000ms));
  CHECK(limit.take(5'010ms));
  for (int i = 0; i < 7; ++i) CHECK_FALSE(limit.take(5'020ms));
  CHECK(limit.collect(5'999ms) == 0);
  CHECK(limit.collect(6'000ms) == 7);
  CHECK(limit.collect(6'000ms) == 0);
}

TEST_CASE("line limit: a period begins with its first line, and nothing is lost between two") {
  LineLimit limit(1, 1'000ms);
  CHECK(limit.take(0ms));
  CHECK_FALSE(limit.take(999ms));
  CHECK(limit.take(1'700ms));  // the count has not been collected yet
  CHECK_FALSE(limit.take(2'600ms));
  CHECK(limit.collect(2'699ms) == 0);
  CHECK(limit.collect(2'700ms) == 2);
}

TEST_CASE("line limit: what is left out of a flood that lasts is a few lines a period") {
  LineLimit limit(5, 1'000ms);
  unsigned written = 0, told = 0, counted = 0;
  for (int now = 0; now < 10'000; ++now) {
    if (const auto count = limit.collect(LineLimit::Time(now))) {
      ++told;
      counted += static_cast<unsigned>(count);
    }
    if (limit.take(LineLimit::Time(now))) ++written;
  }
  counted += static_cast<unsigned>(limit.collect());
  CHECK(written == 50);
  CHECK(told == 9);
  CHECK(written + counted == 10'000);
}
