#include "rollout/replacement_limits.hpp"

#include <doctest/doctest.h>

using namespace liveswap::rollout;

TEST_CASE("replacements: as many in a minute as there are slots") {
  ReplacementLimits limits{ReplacementPace{}};
  for (unsigned slot = 0; slot < 3; ++slot) {
    CHECK(limits.next(Time{1'000}, slot, 3) == Time{1'000});
    limits.note(Time{1'000}, slot);
  }
  CHECK(limits.next(Time{2'000}, 3, 3) == Time{61'000});
  CHECK(limits.next(Time{2'000}, 3, 4) == Time{2'000});
  CHECK(limits.next(Time{61'000}, 3, 3) == Time{61'000});
}

TEST_CASE("replacements: the pause of a slot doubles up to a minute; five quiet minutes end the row") {
  ReplacementLimits limits{ReplacementPace{}};
  Time now{0};
  for (const int pause : {5, 10, 20, 40, 60, 60}) {
    limits.note(now, 0);
    CHECK(limits.next(now, 0, 100) == now + Time{pause * 1'000});
    now += Time{pause * 1'000};
  }
  limits.note(now, 0);
  CHECK(limits.next(now + Time{300'000}, 0, 100) == now + Time{300'000});
  limits.note(now + Time{300'000}, 0);
  CHECK(limits.next(now + Time{300'000}, 0, 100) == now + Time{305'000});
}
