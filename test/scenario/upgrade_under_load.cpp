// The main purpose: upgrade after upgrade under load, and no client notices.
#include <doctest/doctest.h>

#include "support/load.hpp"

namespace scenario {
namespace {

constexpr milliseconds steady_time{1'500};

struct Round {
  std::string mode;
  Words load;
  int upgrades;
};

void upgrade_back_and_forth(const Instance& app, int times) {
  for (int i = 0; i < times; ++i) {
    const auto finished = app.upgrade(fixture(i % 2 == 0 ? "version_v2" : "version_v1"));
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
  }
}

void lose_nothing(Scenario& scenario, const Round& round) {
  Instance app(scenario, fixture("version_v1"), {"--listen-mode", round.mode, "--settle", "20ms"});
  Load load(scenario, app.address(), round.load);
  let_pass(steady_time);
  load.mark("upgrades");
  upgrade_back_and_forth(app, round.upgrades);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(report.answers_of("v1") > 0);
  CHECK(report.answers_of("v2") > 0);
  MESSAGE(round.mode, ": ", round.upgrades, " upgrades, ", report.attempts(), " attempts, ",
          report.failures(), " failed, p99 ", report.p99_ms("run"), " ms steady, ", report.p99_ms("upgrades"),
          " ms during upgrades");
}

TEST_CASE_FIXTURE(Scenario, "60 upgrades, reuseport, a connection for each request") {
  lose_nothing(*this, {"reuseport", {"--rate", "500"}, 60});
}

TEST_CASE_FIXTURE(Scenario, "60 upgrades, shared, a connection for each request") {
  lose_nothing(*this, {"shared", {"--rate", "500"}, 60});
}

TEST_CASE_FIXTURE(Scenario, "30 upgrades, reuseport, keep-alive") {
  lose_nothing(*this, {"reuseport", {"--rate", "500", "--keep-alive", "--connections", "50"}, 30});
}

TEST_CASE_FIXTURE(Scenario, "30 upgrades, shared, keep-alive") {
  lose_nothing(*this, {"shared", {"--rate", "500", "--keep-alive", "--connections", "50"}, 30});
}

TEST_CASE_FIXTURE(Scenario, "20 upgrades with 100 slow answers under way") {
  lose_nothing(*this, {"reuseport", {"--rate", "300", "--slow", "100", "--slow-path", "/slow"}, 20});
}

}  // namespace
}  // namespace scenario
