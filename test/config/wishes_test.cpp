#include "config/wishes.hpp"

#include <doctest/doctest.h>

#include "shown.hpp"

using namespace liveswap;
using namespace liveswap::config;
using namespace std::chrono_literals;

TEST_CASE("an upgrade goes as the options say, but for its wishes") {
  Options options;
  options.batch = 3;
  options.bake = 9s;
  const auto wished =
      with_wishes(options, {{"canary", "10%"}, {"surge", "2"}, {"probation", "5s"}, {"queue", "true"}});
  REQUIRE_MESSAGE(wished, error_of(wished));
  CHECK(wished->queue);
  CHECK(wished->options.canary.value == 10);
  CHECK(wished->options.canary.percent);
  CHECK(wished->options.surge.value == 2);
  CHECK(wished->options.probation == 5s);
  CHECK(wished->options.batch == 3);
  CHECK(wished->options.bake == 9s);
  CHECK_FALSE(with_wishes(options, {})->queue);
  CHECK(with_wishes(options, {{"flip", "true"}})->options.flip);
  options.flip = true;
  CHECK_FALSE(with_wishes(options, {{"flip", "false"}})->options.flip);
}

TEST_CASE("what was chosen for other forks does not bar an upgrade") {
  Options options;
  options.forks = 8;
  options.canary = {6, false};
  options.max_draining = {8, false};
  const auto fewer = for_forks(options, 2);
  CHECK(fewer.forks == 2);
  // A canary of 6 does not fit 2 forks and is not reduced: the upgrade must say how many it wants.
  CHECK(fewer.canary.value == 6);
  CHECK_FALSE(with_wishes(fewer, {}));
  CHECK(with_wishes(fewer, {{"canary", "1"}}));
  const auto more = for_forks(options, 16);
  CHECK(more.canary.value == 6);
  CHECK(with_wishes(more, {}));
  // A value of this upgrade is not reduced: it must fit as it is.
  CHECK_FALSE(with_wishes(fewer, {{"canary", "3"}}));
  Options flips;
  flips.flip = true;
  flips.surge = {8, false};
  flips.forks = 8;
  CHECK(with_wishes(for_forks(flips, 16), {}));
  // A percentage fits every number of forks.
  options.canary = {50, true};
  CHECK(for_forks(options, 1).canary.value == 50);
}

TEST_CASE("wishes that cannot be") {
  CHECK(error_of(with_wishes({}, {{"canery", "1"}})) ==
        "unknown option \"canery\", did you mean \"canary\"?");
  // An option that an upgrade cannot change.
  CHECK(error_of(with_wishes({}, {{"user", "root"}})) ==
        "unknown option \"user\", expected one of canary, bake, probation, batch, surge, flip, queue");
  CHECK(error_of(with_wishes({}, {{"batch", "0"}})) ==
        "batch: found \"0\", expected a number from 1 to 1024, or auto");
  CHECK(error_of(with_wishes({}, {{"queue", "yes"}})) == "queue: found \"yes\", expected true or false");
  CHECK(error_of(with_wishes({}, {{"flip", "true"}, {"surge", "0"}}))
            .starts_with("flip: found true with surge 0"));
  CHECK(error_of(check_wishes({{"bake", "5"}})).starts_with("bake: found \"5\", expected a unit"));
  // Whether these go together, only the master knows.
  CHECK(error_of(check_wishes({{"flip", "true"}, {"surge", "1"}})).empty());
}
