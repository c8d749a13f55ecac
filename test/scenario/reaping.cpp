// Processes that become children of the master without the master having started them.
#include <doctest/doctest.h>
#include <signal.h>

#include "support/built.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int strangers = 20;

// Starts 20 children that soon exit, and executes the program, which thus inherits the children.
const Words shell{"sh", "-c", "for i in $(seq 20); do sleep 1 & done; exec \"$@\"", "sh"};
// The same with orphans: the first process of the namespace becomes their parent.
const Words first_process{"unshare",
                          "--pid",
                          "--fork",
                          "--mount-proc",
                          "--kill-child",
                          "sh",
                          "-c",
                          "for i in $(seq 20); do (sleep 1 &); done; exec \"$@\"",
                          "sh"};

// Checks that a master that was executed so reaps these children; `pid`: its pid outside the namespace.
void reaps(Scenario& scenario, const Words& prefix, bool is_first) {
  Site site(scenario);
  site.prefix = prefix;
  Process master = site.launch("start", {"--listen", site.address(), fixture("version_v1")});
  site.prefix = {};
  REQUIRE_MESSAGE(eventually([&] { return site.status().value("state", "") == "running"; }), master.err());
  const pid_t pid = is_first ? proc::children(master.pid()).at(0) : master.pid();
  CHECK(site.status()["pid"] == (is_first ? 1 : pid));
  // The children still live here, otherwise the test would show nothing.
  CHECK(proc::children(pid).size() == 2 + strangers);
  CHECK(eventually([&] { return proc::children(pid).size() == 2; }));
  // The master still knows its own children: a killed worker is reported and replaced, tasks and an upgrade
  // end as usual.
  REQUIRE(::kill(proc::children(pid).at(0), SIGKILL) == 0);
  CHECK(eventually([&] { return contains(master.err(), "killed by SIGKILL"); }));
  CHECK(eventually(
      [&] { return site.status().value("state", "") == "running" && proc::children(pid).size() == 2; }));
  const auto finished = site.run("upgrade", {fixture("version_v2")});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(eventually([&] { return proc::children(pid).size() == 2; }));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "children of a shell that has executed the master are reaped") {
  reaps(*this, shell, false);
}

TEST_CASE_FIXTURE(Scenario, "PID 1 of a container reaps orphans") {
  if (run(dir, {Words{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "true"}}).status != 0) {
    MESSAGE("skipped: no PID namespace can be made here");
    return;
  }
  reaps(*this, first_process, true);
}

// The daemon is a child of init in a session of its own.
TEST_CASE_FIXTURE(Scenario, "a daemon that a check has left behind is ended, and named in the log") {
  Instance app(*this, fixture("version_v1"));
  const auto finished = app.upgrade(own_fixture("talker_selftest_daemon"));
  CAPTURE(finished.err);
  REQUIRE(contains(finished.err, "daemon "));
  const pid_t daemon = std::stoi(finished.err.substr(finished.err.rfind("daemon ") + 7));
  CHECK_FALSE(proc::runs(daemon));
  CHECK(contains(app.master().err(), "check: it has left a process running, which has been killed: " +
                                         std::to_string(daemon) + " "));
  CHECK(eventually([&] { return app.children().size() == 2; }));
}

TEST_CASE_FIXTURE(Scenario, "a daemon that a pre-upgrade plugin has left behind is ended") {
  const auto site = std::make_shared<Site>(*this);
  const auto file = dir / "daemon";
  site->environment["LIVESWAP_RUN_COMMAND"] =
      "setsid sh -c 'echo $$ >" + file + ".new; mv " + file + ".new " + file +
      "; exec sleep 1000' </dev/null >/dev/null 2>&1 & while [ ! -e " + file +
      " ]; do sleep 0.01; done; true";
  Instance app(site, fixture("version_v1"), {"--pre-upgrade", shipped_plugin("run-command")});
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK_FALSE(proc::runs(std::stoi(read_file(file))));
  CHECK(contains(app.master().err(),
                 "pre-upgrade plugin: it has left a process running, which has been killed: "));
}

}  // namespace scenario
