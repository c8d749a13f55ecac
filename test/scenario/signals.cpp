// Signals to the master, and --daemon.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

// A request that never ends holds its worker for as long as the drain limit allows.
Connection unfinished_request(const Instance& app) {
  Connection client(app.address());
  client.send("GET / HT");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  return client;
}

TEST_CASE_FIXTURE(Scenario, "SIGTERM drains and stops") {
  Instance app(*this, fixture("version_v1"));
  Connection client(app.address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  app.master().signal(SIGTERM);
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(app.master().wait().status == Exit::ok);
}

void stop_at_the_second(Scenario& scenario, int first, int second) {
  Instance app(scenario, fixture("version_v1"));
  const auto client = unfinished_request(app);
  app.master().signal(first);
  REQUIRE(eventually([&] { return app.status().value("state", "") == "stopping"; }));
  CHECK(app.master().running());
  app.master().signal(second);
  CHECK(app.master().wait(milliseconds(10'000)).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a second SIGINT stops now") { stop_at_the_second(*this, SIGINT, SIGINT); }
TEST_CASE_FIXTURE(Scenario, "a SIGTERM after a SIGINT stops now") {
  stop_at_the_second(*this, SIGINT, SIGTERM);
}

TEST_CASE_FIXTURE(Scenario, "SIGHUP upgrades to what is at the current path") {
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Instance app(*this, library);
  write_file(library + ".new", read_file(fixture("version_v2")));
  REQUIRE(::rename((library + ".new").c_str(), library.c_str()) == 0);
  Load load(*this, app.address());
  app.master().signal(SIGHUP);
  CHECK(eventually([&] { return app.status()["generation"] == 2; }));
  CHECK(eventually([&] { return contains(http_get(app.address()), "v2"); }));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "SIGHUP with a bad file changes nothing") {
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Instance app(*this, library);
  write_file(library + ".new", read_file(fixture("no_entry")));
  REQUIRE(::rename((library + ".new").c_str(), library.c_str()) == 0);
  const auto before = app.workers();
  app.master().signal(SIGHUP);
  CHECK(app.master().says("liveswap_main"));
  CHECK(eventually([&] { return app.status()["state"] == "running"; }));
  CHECK(app.workers() == before);
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a daemon returns when it is ready, and lives on") {
  Site site(*this);
  const auto finished = site.run("start", {"--daemon", "--listen", site.address(), fixture("version_v1")});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(http_get(site.address()), "v1"));
  const auto now = site.status();
  REQUIRE(now.at("state") == "running");
  const auto pid = now.at("pid").get<pid_t>();
  CHECK(::getsid(pid) != ::getsid(0));
  CHECK(site.run("upgrade", {fixture("version_v2")}).status == Exit::ok);
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(eventually([&] { return !proc::runs(pid); }));
  CHECK_FALSE(Connection::attempt(site.address()));
}

TEST_CASE_FIXTURE(Scenario, "a daemon that cannot start says why") {
  Site site(*this);
  for (const std::string release : {"crash_start", "no_entry", "missing_symbol"}) {
    CAPTURE(release);
    const auto finished = site.run("start", {"--daemon", "--listen", site.address(), fixture(release)});
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, "stage"));
  }
  Instance running(*this, fixture("version_v1"));
  const auto finished = running.run("start", {"--daemon", "--listen", site.address(), fixture("version_v1")});
  CHECK(finished.status == Exit::refused);
  CHECK(contains(finished.err, "already runs"));
}

}  // namespace
}  // namespace scenario
