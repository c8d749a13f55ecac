// Workers that die outside an upgrade.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

unsigned restarts(const Instance& app, std::size_t slot) {
  return app.status()["slots"][slot]["restarts"].get<unsigned>();
}

TEST_CASE_FIXTURE(Scenario, "a worker that is killed is replaced at once") {
  Instance app(*this, fixture("version_v1"));
  const auto before = app.workers();
  ::kill(before.at(1), SIGKILL);
  CHECK(eventually([&] {
    const auto now = app.workers();
    return now.size() == 2 && now[1] != before[1];
  }));
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.workers().at(0) == before[0]);
  CHECK(restarts(app, 1) == 1);
  CHECK(restarts(app, 0) == 0);
  CHECK(app.master().says("SIGKILL"));
}

TEST_CASE_FIXTURE(Scenario, "a respawn runs the committed code, also after an upgrade that failed") {
  Instance app(*this, fixture("version_v1"));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(app.upgrade(fixture("crash_start")).status == Exit::reverted);
  for (const pid_t worker : app.workers()) ::kill(worker, SIGKILL);
  CHECK(eventually([&] { return restarts(app, 0) + restarts(app, 1) == 2; }));
  CHECK(app.serves(fixture("version_v2")));
  CHECK(contains(http_get(app.address()), "v2"));
}

// While slot 1 cannot start, slot 0 answers all clients, and the attempts come at growing intervals: at 0,
// 100, 200, 400, 800 … ms, plus or minus a quarter.
void survive_crash_loop(Scenario& scenario, const char* mode) {
  const std::string fault = scenario.dir / "fault";
  Instance app(scenario, own_fixture("report"), {"--listen-mode", mode, "--backoff-min", "100ms"},
               {"crash-if=" + fault});
  write_file(fault, "");
  ::kill(app.workers().at(1), SIGKILL);
  REQUIRE(eventually([&] { return restarts(app, 1) >= 3; }));
  // No client may wait until slot 1 is back.
  Load load(scenario, app.address(), {"--rate", "200", "--timeout-ms", "1000"});
  const unsigned early = restarts(app, 1);
  let_pass(milliseconds(4'000));
  const unsigned late = restarts(app, 1);
  CHECK(late > early);
  CHECK(late <= early + 5);
  CHECK(restarts(app, 0) == 0);
  REQUIRE(::unlink(fault.c_str()) == 0);
  CHECK(app.serves(own_fixture("report")));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a slot that cannot start backs off while the other serves, reuseport") {
  survive_crash_loop(*this, "reuseport");
}
TEST_CASE_FIXTURE(Scenario, "a slot that cannot start backs off while the other serves, shared") {
  survive_crash_loop(*this, "shared");
}

TEST_CASE_FIXTURE(Scenario, "an upgrade heals a slot that cannot start") {
  const std::string fault = dir / "fault";
  Instance app(*this, own_fixture("report"), {}, {"crash-if=" + fault});
  write_file(fault, "");
  ::kill(app.workers().at(1), SIGKILL);
  REQUIRE(eventually([&] { return restarts(app, 1) >= 3; }));
  const auto finished = app.upgrade(fixture("version_v1"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "a start whose workers cannot start ends with the reason") {
  const Site site(*this);
  for (const auto& [release, reason] :
       std::vector<std::pair<std::string, std::string>>{{"crash_start", "SIGSEGV"},
                                                        {"crash_constructor", "SIGSEGV"},
                                                        {"return_3", "3"},
                                                        {"missing_symbol", "function_that_nobody_defines"},
                                                        {"never_ready", "1000 ms"}}) {
    CAPTURE(release);
    const auto finished =
        site.run("start", {"--ready-limit", "1s", "--listen", site.address(), fixture(release)});
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, reason));
    CHECK(contains(finished.err, "stage"));
    CHECK_FALSE(Connection::attempt(site.address()));
  }
}

TEST_CASE_FIXTURE(Scenario, "a start that fails names no HEAD") {
  const Site site(*this);
  CHECK(site.run("start", {"--listen", site.address(), fixture("crash_start")}).status == Exit::failed);
  CHECK(::access(site.head_path().c_str(), F_OK) != 0);
}

}  // namespace
}  // namespace scenario
