// Processes that become children of the master without having been started by it.
#include <doctest/doctest.h>
#include <signal.h>

#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int strangers = 20;

// Leaves so many children, which end soon, to what it executes.
const Words shell{"sh", "-c", "for i in $(seq 20); do sleep 1 & done; exec \"$@\"", "sh"};
// The same, of children whose own parent has ended: the first process of the namespace becomes their parent.
const Words first_process{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                          "sh", "-c", "for i in $(seq 20); do (sleep 1 &); done; exec \"$@\"", "sh"};

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
  // Its own children it knows: one that is killed is named and replaced, tasks and an upgrade end as they should.
  REQUIRE(::kill(proc::children(pid).at(0), SIGKILL) == 0);
  CHECK(eventually([&] { return contains(master.err(), "killed by SIGKILL"); }));
  CHECK(eventually([&] { return site.status().value("state", "") == "running" && proc::children(pid).size() == 2; }));
  const auto finished = site.run("upgrade", {fixture("version_v2")});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(eventually([&] { return proc::children(pid).size() == 2; }));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "children of a shell that has executed the master are reaped") { reaps(*this, shell, false); }

TEST_CASE_FIXTURE(Scenario, "PID 1 of a container reaps orphans") {
  if (run(dir, {Words{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "true"}}).status != 0) {
    MESSAGE("skipped: no PID namespace can be made here");
    return;
  }
  reaps(*this, first_process, true);
}

}  // namespace scenario
