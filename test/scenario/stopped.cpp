// Workers that a signal stops while nothing is upgraded.
#include <doctest/doctest.h>
#include <signal.h>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

using namespace nlohmann::literals;

Json worker_of(const Instance& app, std::size_t slot) {
  return app.status().value("/slots"_json_pointer, Json::array()).at(slot)["workers"].at(0);
}

bool is_in_state(const Instance& app, std::size_t slot, const std::string& state) {
  return eventually([&] { return worker_of(app, slot)["state"] == state; });
}

TEST_CASE_FIXTURE(Scenario, "a stopped worker is told in log and status; the others get the connections") {
  Instance app(*this, fixture("version_v1"), {"--forks", "3"});
  const auto before = app.workers();
  ::kill(before.at(1), SIGSTOP);
  REQUIRE(app.master().says("stopped by a signal"));
  REQUIRE(is_in_state(app, 1, "stopped"));
  CHECK(worker_of(app, 1)["stopped_ms"].is_number());
  CHECK(contains(app.run("status").out, "stopped"));
  // No client may wait for the stopped worker.
  Load load(*this, app.address(), {"--rate", "200", "--timeout-ms", "2000"});
  let_pass(milliseconds(1'000));
  load.stop().check_nothing_lost();
  CHECK(app.workers() == before);
  ::kill(before.at(1), SIGCONT);
  CHECK(app.master().says("runs again"));
  CHECK(is_in_state(app, 1, "ready"));
  CHECK_FALSE(worker_of(app, 1).contains("stopped_ms"));
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.workers() == before);
}

TEST_CASE_FIXTURE(Scenario, "the requester of an upgrade learns that a worker was stopped") {
  Instance app(*this, fixture("version_v1"));
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2"), "--probation", "10m"});
  REQUIRE(eventually([&] { return app.status().value("/upgrade/phase"_json_pointer, "") == "probation"; }));
  ::kill(app.workers().at(0), SIGSTOP);
  CHECK(upgrade.says("was stopped by a signal"));
  ::kill(app.workers().at(0), SIGCONT);
  CHECK(app.run("promote").status == Exit::ok);
  CHECK(upgrade.wait().status == Exit::ok);
}

}  // namespace
}  // namespace scenario
