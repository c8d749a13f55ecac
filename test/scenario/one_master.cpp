// Two starts of one instance: a lock ensures that only one master runs.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/instance.hpp"

namespace scenario {
namespace {

constexpr int rounds = 10;

Process contender(const Site& site) {
  return site.launch("start", {"--listen", site.address(), fixture("version_v1")});
}

TEST_CASE_FIXTURE(Scenario, "of two starts at the same time exactly one wins") {
  const Site site(*this);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    Process first = contender(site);
    Process second = contender(site);
    REQUIRE(eventually([&] { return !first.running() || !second.running(); }));
    auto& loser = first.running() ? second : first;
    auto& winner = first.running() ? first : second;
    const auto lost = loser.wait();
    CHECK(lost.status == Exit::refused);
    CHECK(contains(lost.err, "already runs on port " + site.control_port()));
    CHECK(eventually([&] { return site.status().value("pid", 0) == winner.pid(); }));
    CHECK(site.run("stop").status == Exit::ok);
    CHECK(winner.wait().status == Exit::ok);
  }
}

TEST_CASE_FIXTURE(Scenario, "a second start does not disturb the first") {
  Instance app(*this, fixture("version_v1"));
  const auto second = app.run("start", {"--listen", app.address(), fixture("version_v2")});
  CHECK(second.status == Exit::refused);
  CHECK(contains(second.err, std::to_string(app.master().pid())));
  CHECK(app.serves(fixture("version_v1")));
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "two instances on two ports know nothing of each other") {
  Instance one(*this, fixture("version_v1"));
  Instance two(std::make_shared<Site>(*this, "second"), fixture("version_v2"));
  CHECK(one.upgrade(fixture("version_v3")).status == Exit::ok);
  CHECK(one.serves(fixture("version_v3")));
  CHECK(two.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "without a master every command says so") {
  const Site site(*this);
  for (const auto& [verb, words] :
       std::vector<std::pair<std::string, Words>>{{"upgrade", {fixture("version_v1")}},
                                                  {"message", {"hello"}},
                                                  {"kill", {}},
                                                  {"die", {}},
                                                  {"stop", {}},
                                                  {"status", {}},
                                                  {"forks", {"3"}}}) {
    CAPTURE(verb);
    const auto finished = site.run(verb, words);
    CHECK(finished.status == Exit::no_master);
    CHECK(contains(finished.err, site.control_port()));
  }
}

}  // namespace
}  // namespace scenario
