// The master is killed, and nobody is to take its workers over: they finish their connections and exit, and a
// new master waits for that.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

const Words none{"--orphan-wait", "none"};

void kill_master(Instance& app) {
  app.master().signal(SIGKILL);
  app.master().wait();
}

TEST_CASE_FIXTURE(Scenario, "workers of a killed master leave by themselves") {
  Instance app(*this, fixture("version_v1"), none);
  const auto workers = app.workers();
  kill_master(app);
  CHECK(eventually([&] { return all_gone(workers); }));
  CHECK_FALSE(Connection::attempt(app.address()));
}

TEST_CASE_FIXTURE(Scenario, "workers of a killed master finish their answers") {
  Instance app(*this, fixture("version_v1"), none);
  const auto workers = app.workers();
  Connection client(app.address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  kill_master(app);
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(eventually([&] { return all_gone(workers); }));
}

TEST_CASE_FIXTURE(Scenario, "workers of a killed master leave by force when they do not drain") {
  Instance app(*this, fixture("ignores_term"),
               none + Words{"--drain-limit", "300ms", "--term-grace", "100ms"});
  const auto workers = app.workers();
  kill_master(app);
  CHECK(eventually([&] { return all_gone(workers); }));
}

// An instance with a dead master and a worker that still has a connection.
struct Orphaned {
  explicit Orphaned(Scenario& scenario) : site(std::make_shared<Site>(scenario)) {
    Instance app(site, fixture("version_v1"), none);
    client = std::make_unique<Connection>(app.address());
    client->send("GET / HT");
    REQUIRE(eventually([&] { return app.connections() == 1; }));
    workers = app.workers();
    kill_master(app);
  }

  std::shared_ptr<Site> site;
  std::unique_ptr<Connection> client;
  std::vector<pid_t> workers;
};

TEST_CASE_FIXTURE(Scenario, "a start waits for the workers of a killed master, says so, then serves") {
  Orphaned orphaned(*this);
  const auto& site = *orphaned.site;
  Process master =
      site.launch("start", {"--force-target", "--listen", site.address(), fixture("version_v2")});
  CHECK(master.says("earlier master"));
  CHECK(master.running());
  orphaned.client.reset();
  CHECK(eventually([&] { return contains(http_get(site.address()), "v2"); }));
  CHECK(all_gone(orphaned.workers));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a start gives up waiting after the drain limit and the steps of force") {
  Orphaned orphaned(*this);
  const auto& site = *orphaned.site;
  const auto finished = site.run("start", {"--drain-limit", "500ms", "--term-grace", "100ms", "--listen",
                                           site.address(), fixture("version_v2")});
  CHECK(finished.status == Exit::timed_out);
  CHECK(contains(finished.err, " 800 ms"));
  orphaned.client.reset();
  CHECK(eventually([&] { return all_gone(orphaned.workers); }));
}

TEST_CASE_FIXTURE(Scenario, "a killed master in the middle of an upgrade leaves nobody behind") {
  Instance app(*this, fixture("version_v1"), none);
  Process upgrade = app.site().launch("upgrade", {fixture("never_ready")});
  REQUIRE(eventually([&] { return app.children().size() == 3; }));
  const auto workers = app.children();
  kill_master(app);
  CHECK(upgrade.wait().status != Exit::ok);
  CHECK(eventually([&] { return all_gone(workers); }));
}

}  // namespace
}  // namespace scenario
