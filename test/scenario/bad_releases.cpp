// Releases that become ready, and misbehave later (bad_corpus.cpp has those that fail before).
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

// Some server libraries do that when they end. All workers share the socket.
TEST_CASE_FIXTURE(Scenario, "a release that shuts the listener down harms the next one for a moment only") {
  for (const char* mode : {"reuseport", "shared"}) {
    Instance app(*this, fixture("shuts_down"), {"--listen-mode", mode});
    REQUIRE(app.upgrade(fixture("version_v1")).status == Exit::ok);
    for (int i = 0; i < 20; ++i) CHECK(contains(http_get(app.address()), "v1"));
  }
}

// These releases become ready, so the upgrade succeeds. The next upgrade must still replace their workers.
void replace_stubborn(Scenario& scenario, const std::string& mode, const std::string& release) {
  CAPTURE(release);
  Instance app(scenario, fixture("version_v1"),
               {"--listen-mode", mode, "--drain-limit", "1s", "--term-grace", "300ms"});
  Load load(scenario, app.address());
  const auto there = app.upgrade(fixture(release));
  CHECK_MESSAGE(there.status == Exit::ok, there.err);
  const auto back = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(back.status == Exit::ok, back.err);
  CHECK(contains(back.out + back.err, "force"));
  CHECK(app.serves(fixture("version_v2")));
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(report.answers_of("v2") > 0);
}

TEST_CASE_FIXTURE(Scenario, "a release that ignores its drain is ended, reuseport") {
  replace_stubborn(*this, "reuseport", "ignores_drain");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores its drain is ended, shared") {
  replace_stubborn(*this, "shared", "ignores_drain");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores SIGTERM is ended, reuseport") {
  replace_stubborn(*this, "reuseport", "ignores_term");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores SIGTERM is ended, shared") {
  replace_stubborn(*this, "shared", "ignores_term");
}
TEST_CASE_FIXTURE(Scenario, "a release that drains and never returns is ended") {
  replace_stubborn(*this, "reuseport", "stuck");
}

TEST_CASE_FIXTURE(Scenario, "a release that crashes while it drains is said to have done so") {
  Instance app(*this, fixture("crash_drain"));
  const auto finished = app.upgrade(fixture("version_v1"));
  CHECK(finished.status == Exit::ok);
  CHECK(contains(finished.out + finished.err, "SIGSEGV"));
  CHECK(app.serves(fixture("version_v1")));
}

}  // namespace
}  // namespace scenario
