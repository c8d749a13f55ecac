// What a master costs when nothing happens.
#include <doctest/doctest.h>

#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr long rss_limit_kib = 10 * 1024;
constexpr milliseconds watched{2'000};

long switches(pid_t pid) { return proc::status_number(pid, "voluntary_ctxt_switches"); }

// Whether the process did not wake up in that time.
bool sleeps(pid_t pid, milliseconds time) {
  const long before = switches(pid);
  let_pass(time);
  return switches(pid) == before;
}

TEST_CASE_FIXTURE(Scenario, "an idle master does not wake up") {
  Instance app(*this, fixture("version_v1"));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const pid_t pid = app.master().pid();
  // Waits until the upgrade's remaining work is done.
  REQUIRE(eventually([&] { return sleeps(pid, milliseconds(500)); }));
  CHECK(sleeps(pid, watched));
}

TEST_CASE_FIXTURE(Scenario, "a master is small and has one thread") {
  Instance app(*this, fixture("version_v1"), {"--forks", "4"});
  for (int i = 0; i < 10; ++i)
    CHECK(app.upgrade(fixture(i % 2 == 0 ? "version_v2" : "version_v1")).status == Exit::ok);
  CHECK(app.run("message", {"hello"}).status == Exit::ok);
  if (sanitized()) return;
  const pid_t pid = app.master().pid();
  CHECK(proc::threads(pid) == 1);
  const long rss = proc::status_number(pid, "VmRSS");
  CHECK(rss < rss_limit_kib);
  MESSAGE("the master's RSS: ", rss, " KiB");
}

TEST_CASE_FIXTURE(Scenario, "a master never maps application code") {
  Instance app(*this, fixture("version_v1"), {"--pre-upgrade", own_fixture("pre_upgrade_keep")});
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const auto maps = read_file("/proc/" + std::to_string(app.master().pid()) + "/maps");
  CHECK(contains(maps, "libc.so"));
  CHECK_FALSE(contains(maps, "version_v"));
  CHECK_FALSE(contains(maps, "pre_upgrade_keep"));
}

}  // namespace
}  // namespace scenario
