// Pre-upgrade plugins.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

Words with_plugin(const std::string& path) { return {"--pre-upgrade", path, "--pre-upgrade-limit", "1s"}; }

TEST_CASE_FIXTURE(Scenario, "a plugin replaces the path") {
  const std::string library = dir / "libapp.so";
  write_file(library + ".next", read_file(fixture("version_v2")));
  Instance app(*this, fixture("version_v1"), with_plugin(own_fixture("pre_upgrade_replace")));
  const auto finished = app.upgrade(library);
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.serves(library + ".next"));
  CHECK(app.head() == library + ".next\n");
}

TEST_CASE_FIXTURE(Scenario, "a plugin that has nothing to say") {
  Instance app(*this, fixture("version_v1"), with_plugin(own_fixture("pre_upgrade_keep")));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
  CHECK(app.run("upgrade").status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
}

struct BadPlugin {
  std::string path;
  const char* reason;
};

TEST_CASE_FIXTURE(Scenario, "a plugin that is not there is found at the start") {
  const Site site(*this);
  const auto finished = site.run("start", {"--pre-upgrade", dir / "missing.so", fixture("version_v1")});
  CHECK(finished.status == Exit::usage);
  CHECK(contains(finished.err, "missing.so: No such file"));
}

TEST_CASE_FIXTURE(Scenario, "a plugin that refuses, crashes or hangs harms nobody") {
  const std::vector<BadPlugin> plugins{
      {own_fixture("pre_upgrade_refuse"),
       "not on a Friday\nit wrote last:\n    it is Friday by the clock of the office\n"},
      {own_fixture("pre_upgrade_crash"), "SIGSEGV\nit wrote last:\n    the build server is on fire\n"},
      {own_fixture("pre_upgrade_hang"), "1000 ms"},
      {own_fixture("pre_upgrade_silent"), "1000 ms"},
      {fixture("version_v1"), "liveswap_preupgrade"},
      {fixture("missing_symbol"), "function_that_nobody_defines"},
      {fixture("hang_constructor"), "1000 ms"}};
  for (const auto& plugin : plugins) {
    CAPTURE(plugin.path);
    Instance app(*this, fixture("version_v1"), with_plugin(plugin.path));
    Load load(*this, app.address(), {"--rate", "200"});
    const auto before = app.workers();
    const auto finished = app.upgrade(fixture("version_v2"));
    CAPTURE(finished.err);
    CHECK(finished.status == Exit::refused);
    CHECK(contains(finished.err, plugin.reason));
    CHECK(app.workers() == before);
    CHECK(app.head() == fixture("version_v1") + "\n");
    CHECK(eventually([&] { return app.children().size() == 2; }));
    load.stop().check_nothing_lost();
  }
}

TEST_CASE_FIXTURE(Scenario, "an upgrade cannot overtake a plugin that takes its time") {
  Instance app(*this, fixture("version_v1"),
               {"--pre-upgrade", own_fixture("pre_upgrade_silent"), "--pre-upgrade-limit", "3s"});
  Process first = app.site().launch("upgrade", {fixture("version_v2")});
  REQUIRE(eventually([&] { return app.status()["state"] == "upgrading"; }));
  CHECK(app.upgrade(fixture("version_v3")).status == Exit::refused);
  CHECK(first.wait().status == Exit::refused);
}

TEST_CASE_FIXTURE(Scenario, "run-command: the last line of a command is the path") {
  const auto site = std::make_shared<Site>(*this);
  site->environment["LIVESWAP_RUN_COMMAND"] = "echo building; echo \"$LIVESWAP_VALUE.built\"";
  write_file(dir / "libapp.so.built", read_file(fixture("version_v2")));
  Instance app(site, fixture("version_v1"), {"--pre-upgrade", shipped_plugin("run-command")});
  const auto finished = app.upgrade(dir / "libapp.so");
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.serves(dir / "libapp.so.built"));
}

TEST_CASE_FIXTURE(Scenario, "run-command: a command that fails refuses the upgrade with what it said") {
  const auto site = std::make_shared<Site>(*this);
  site->environment["LIVESWAP_RUN_COMMAND"] = "echo fetching; echo no such branch >&2; exit 7";
  Instance app(site, fixture("version_v1"), {"--pre-upgrade", shipped_plugin("run-command")});
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::refused);
  CHECK(contains(finished.err, "no such branch"));
  CHECK(contains(finished.err, "fetching"));
  CHECK(contains(finished.err, "7"));
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "run-command: a command that hangs goes with its plugin") {
  const auto site = std::make_shared<Site>(*this);
  site->environment["LIVESWAP_RUN_COMMAND"] = "sleep 1000";
  Instance app(site, fixture("version_v1"), with_plugin(shipped_plugin("run-command")));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::refused);
  CHECK(eventually([&] { return proc::descendants(app.master().pid()).size() == 2; }));
}

TEST_CASE_FIXTURE(Scenario, "sha256-list: only what stands in the list") {
  const auto site = std::make_shared<Site>(*this);
  const auto sums = run(dir, {{"sha256sum", fixture("version_v2")}});
  write_file(dir / "allowed", sums.out);
  site->environment["LIVESWAP_SHA256_LIST"] = dir / "allowed";
  Instance app(site, fixture("version_v1"), {"--pre-upgrade", shipped_plugin("sha256-list")});
  const auto stranger = app.upgrade(fixture("version_v3"));
  CHECK(stranger.status == Exit::refused);
  // The plugin throws an exception, which the address sanitizer cannot follow in a C program.
  if (!sanitized()) CHECK(contains(stranger.err, fixture("version_v3")));
  const auto listed = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(listed.status == Exit::ok, listed.err);
  CHECK(app.serves(fixture("version_v2")));
}

}  // namespace
}  // namespace scenario
