#include "release/committed_releases.hpp"

#include <doctest/doctest.h>

#include "release/history.hpp"

using namespace liveswap::release;

namespace {

Committed named(const std::string& id) { return {"/srv/" + id + ".so", id}; }

std::string ids(const CommittedReleases& releases, std::size_t k) {
  std::string text;
  for (const auto& one : releases.newest(k)) text += one.id + " ";
  return text;
}

}  // namespace

TEST_CASE("committed releases: the newest first, each once") {
  CommittedReleases releases;
  for (const char* id : {"a", "b", "c", "a"}) releases.add(named(id), "");
  CHECK(ids(releases, 9) == "a c b ");
  CHECK(ids(releases, 2) == "a c ");
  CHECK(releases.newest(1)[0].path == "/srv/a.so");
}

TEST_CASE("committed releases: one that was rolled back from is left until it is committed again") {
  CommittedReleases releases;
  releases.add(named("a"), "");
  releases.add(named("b"), "");
  releases.add(named("a"), "b");
  CHECK(releases.is_left("b"));
  CHECK_FALSE(releases.is_left("a"));
  releases.add(named("b"), "");
  CHECK_FALSE(releases.is_left("b"));
}

TEST_CASE("committed releases: no more than the history keeps") {
  CommittedReleases releases;
  for (std::size_t i = 0; i <= History::kept; ++i) releases.add(named(std::to_string(i)), "");
  CHECK(releases.newest(9'999).size() == History::kept);
}
