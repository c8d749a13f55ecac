// The load client must notice losses, or "nothing was lost" would prove nothing.
#include <doctest/doctest.h>
#include <signal.h>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

TEST_CASE_FIXTURE(Scenario, "requests that die with master and workers are counted") {
  Instance app(*this, fixture("version_v1"), {"--orphan-wait", "none"});
  Load load(*this, app.address(), {"--rate", "300", "--slow", "5", "--slow-path", "/slow"});
  const auto workers = app.workers();
  app.master().signal(SIGKILL);
  for (const pid_t worker : workers) ::kill(worker, SIGKILL);
  app.master().wait();
  REQUIRE(eventually([&] { return !Connection::attempt(app.address()); }));
  // Some attempts are refused.
  let_pass(milliseconds(200));
  const auto report = load.stop();
  CHECK(report.failures() > 5);
  CHECK(report.attempts() > report.failures());
  CHECK(load.status() == 1);
}

TEST_CASE_FIXTURE(Scenario, "an upgrade without zero downtime loses what is under way") {
  Instance app(*this, fixture("version_v1"), {"-z"});
  Load load(*this, app.address(), {"--rate", "100", "--slow", "10", "--slow-path", "/slow"});
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
  const auto report = load.stop();
  CHECK(report.failures() > 0);
  CHECK(report.answers_of("v2") > 0);
  CHECK(load.status() == 1);
}

}  // namespace
}  // namespace scenario
