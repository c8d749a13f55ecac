#include <doctest/doctest.h>

#include "rollout/judge.hpp"
#include "script.hpp"

using namespace liveswap::rollout;

TEST_CASE("judge: worse is more than 1 % and more than twice the old share, of enough requests") {
  struct Row {
    Served before, after;
    bool worse;
  };
  const Row rows[] = {
      {{0, 0}, {0, 0}, false},           // no request yet
      {{1000, 0}, {19, 19}, false},      // too few to tell
      {{1000, 0}, {20, 20}, true},       //
      {{1000, 0}, {20, 0}, false},       //
      {{1000, 0}, {100, 1}, false},      // 1 % is tolerated
      {{1000, 0}, {100, 2}, true},       //
      {{1000, 0}, {1000, 11}, true},     //
      {{1000, 100}, {100, 20}, false},   // twice as many
      {{1000, 100}, {100, 21}, true},    //
      {{1000, 5}, {1000, 10}, false},    //
      {{1000, 6}, {1000, 12}, false},    // twice as many is more than 1 %
      {{1000, 6}, {1000, 13}, true},     //
      {{1000, 600}, {100, 100}, false},  // above one half, no share is more than twice as large
      {{0, 0}, {100, 2}, true},          // an old release without requests counts as good
      {{10, 10}, {100, 100}, false},     //
      {{1'000'000'000'000, 1}, {1'000'000'000'000, 20'000'000'000}, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.before.requests);
    CAPTURE(row.before.failed);
    CAPTURE(row.after.requests);
    CAPTURE(row.after.failed);
    CHECK(judge_errors(row.before, row.after).has_value() == row.worse);
  }
  CHECK(
      *judge_errors({1000, 1}, {50, 5}) ==
      "the application reports errors for 5 of 50 requests that the new workers have answered, for 1 of 1000 "
      "requests of the old ones");
}

namespace {

Script baking() {
  auto with = settings(2);
  with.canary = {1, false};
  Script script = Script::booted(with);
  script.roll(7, with);
  script.ready(3);
  return script;
}

}  // namespace

TEST_CASE("counted: the workers of the new release are summed up, and all others") {
  Script script = baking();
  SUBCASE("worse") {
    CHECK(script.counted({{1, {100, 0}}, {2, {100, 1}}, {3, {30, 2}}}) == "spawn 4 in 0: A");
    CHECK(script.engine().state() == std::string("reverting"));
    script.returned(1);
    CHECK(script.ready(4) == "drain 3 60000");
    CHECK(script.returned(3) == "answer 7 reverted");
    CHECK(script.answer_text() ==
          "the application reports errors for 2 of 30 requests that the new workers have answered, for 1 of "
          "200 "
          "requests of the old ones");
  }
  SUBCASE("as good as before") {
    CHECK(script.counted({{1, {100, 3}}, {2, {100, 3}}, {3, {100, 6}}}) == "");
    CHECK(script.engine().phase() == std::string("baking"));
  }
  SUBCASE("who has gone does not count") {
    CHECK(script.counted({{1, {100, 0}}, {99, {1000, 1000}}}) == "");
    CHECK(script.engine().phase() == std::string("baking"));
  }
}

TEST_CASE("counted: several new workers together may be enough to tell") {
  auto with = settings(2);
  with.probation = Time{1'000};
  Script script = Script::booted(with);
  script.roll(7, with);
  script.ready(3);
  script.ready(4);
  script.returned(1);
  script.returned(2);
  CHECK(script.counted({{3, {10, 0}}, {4, {9, 9}}}) == "");
  CHECK(script.counted({{3, {10, 0}}, {4, {10, 10}}}) == "spawn 5 in 0: A");
}

TEST_CASE("counted: outside of an upgrade, or before its roll, it means nothing") {
  Script script = Script::booted(settings(1));
  CHECK(script.counted({{1, {100, 100}}}) == "");
  script.upgrade(7);
  CHECK(script.counted({{1, {100, 100}}}) == "");
  CHECK(script.engine().phase() == std::string("preparing"));
}
