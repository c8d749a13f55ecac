// Processes that become children of the master without having been started by it.
#include <doctest/doctest.h>
#include <signal.h>

#include "support/built.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int strangers = 20;

// Leaves so many children, which end soon, to what it executes.
const Words shell{"sh", "-c", "for i in $(seq 20); do sleep 1 & done; exec \"$@\"", "sh"};
// The same, of children whose own parent has ended: the first process of the namespace becomes their parent.
const Words first_process{"unshare",
                          "--pid",
                          "--fork",
                          "--mount-proc",
                          "--kill-child",
                          "sh",
                          "-c",
                          "for i in $(seq 20); do (sleep 1 &); done; exec \"$@\"",
                          "sh"};

// A master that was executed so, and is to reap these; `pid`: its number here.
void reaps(Scenario& scenario, const Words& prefix, bool is_first) {
  Site site(scenario);
  site.prefix = prefix;
  Process master = site.launch("start", {"--listen", site.address(), fixture("version_v1")});
  site.prefix = {};
  REQUIRE_MESSAGE(eventually([&] { return site.status().value("state", "") == "running"; }), master.err());
  const pid_t pid = is_first ? proc::children(master.pid()).at(0) : master.pid();
  CHECK(site.status()["pid"] == (is_first ? 1 : pid));
  // Before they end, so that the test cannot pass by itself.
  CHECK(proc::children(pid).size() == 2 + strangers);
  CHECK(eventually([&] { return proc::children(pid).size() == 2; }));
  // Its own children it knows: one that is killed is named and replaced, tasks and an upgrade end as they
  // should.
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

// In a session of its own, as a child of init.
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
