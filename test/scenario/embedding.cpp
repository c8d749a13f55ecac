// liveswap as a library: programs that embed a master, and a client.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

Process embedder(const Site& site, const std::string& library) {
  return Process(site.temp_dir(),
                 {{EMBEDDER, library, site.control_port(), site.address()}, site.environment});
}

Finished client(const Site& site, const Words& words) {
  return run(site.temp_dir(), {Words{EMBEDDED_CLIENT, site.control_port()} + words, site.environment});
}

TEST_CASE_FIXTURE(Scenario, "a program is its own master") {
  const Site site(*this);
  Process program = embedder(site, fixture("version_v1"));
  REQUIRE(program.says("ready x"));
  Load load(*this, site.address());
  CHECK(site.run("upgrade", {fixture("version_v2")}).status == Exit::ok);
  CHECK(contains(http_get(site.address()), "v2"));
  CHECK(site.run("upgrade", {fixture("crash_start")}).status == Exit::reverted);
  load.stop().check_nothing_lost();
  CHECK(site.run("stop").status == Exit::ok);
  const auto finished = program.wait();
  CHECK(finished.status == Exit::ok);
  CHECK(std::count(finished.out.begin(), finished.out.end(), '\n') == 2);
  CHECK(finished.out.find("once") == finished.out.rfind("once"));
}

TEST_CASE_FIXTURE(Scenario, "a program learns why it could not be a master") {
  const Site site(*this);
  const auto finished = embedder(site, fixture("no_entry")).wait();
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.out, "liveswap_main"));
}

TEST_CASE_FIXTURE(Scenario, "a program that is told to end by a signal ends its workers") {
  const Site site(*this);
  Process program = embedder(site, fixture("version_v1"));
  REQUIRE(program.says("ready x"));
  program.signal(SIGTERM);
  CHECK(program.wait().status == Exit::ok);
  // The keeper ends a moment after the master. It is then a child of the test, which does not reap it.
  CHECK(eventually([] { return !proc::has_running_child(::getpid()); }));
}

TEST_CASE_FIXTURE(Scenario, "a program asks a master") {
  Instance app(*this, fixture("version_v1"));
  const auto upgraded = client(app.site(), {"upgrade", fixture("version_v2")});
  CHECK(upgraded.status == Exit::ok);
  CHECK(contains(upgraded.out, "\"event\":\"committed\""));
  CHECK(client(app.site(), {"upgrade", fixture("no_entry")}).status == Exit::reverted);
  const auto status = client(app.site(), {"status"});
  CHECK(Json::parse(status.out)["head"] == fixture("version_v2"));
  CHECK(client(app.site(), {"message", "hello"}).status == Exit::ok);
  CHECK(client(app.site(), {"kill"}).status == Exit::ok);
  CHECK(client(app.site(), {"die"}).status == Exit::ok);
  CHECK(app.master().wait().status == Exit::ok);
  CHECK(client(app.site(), {"status"}).status == Exit::no_master);
}

}  // namespace
}  // namespace scenario
