#include "systemd/stored_sockets.hpp"

#include <doctest/doctest.h>

namespace liveswap::systemd {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("the store gets what it lacks, and loses what is not wanted") {
  CHECK(changes_of({}, {{"a#0", 1}, {"b#0", 2}}).added == Names{"a#0", "b#0"});
  CHECK(changes_of({{"a#0", 1}, {"b#0", 2}}, {}).removed == Names{"a#0", "b#0"});
  const auto none = changes_of({{"a#0", 1}}, {{"a#0", 1}});
  CHECK(none.added.empty());
  CHECK(none.removed.empty());
}

TEST_CASE("another socket of the same name takes the place of the one before") {
  const auto changes = changes_of({{"a#0", 1}, {"a#1", 2}}, {{"a#0", 1}, {"a#1", 3}});
  CHECK(changes.removed == Names{"a#1"});
  CHECK(changes.added == Names{"a#1"});
}

}  // namespace
}  // namespace liveswap::systemd
