// Careful upgrades: canary, probation, health, promote, abort, rollback, queue, memory.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

using namespace nlohmann::literals;

const Words quick{"--settle", "20ms"};

Json receipt(const Instance& app, const Words& words = {}) {
  const auto finished = app.run("receipt", words + Words{"--json"});
  REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
  return Json::parse(finished.out);
}

bool in_phase(const Instance& app, const std::string& phase) {
  return eventually([&] { return app.status().value("/upgrade/phase"_json_pointer, "") == phase; });
}

// The generation of each slot's worker.
std::vector<int> generations(const Instance& app) {
  std::vector<int> found;
  const auto status = app.status();
  for (const auto& slot : status["slots"])
    for (const auto& worker : slot["workers"])
      if (worker["state"] == "ready") found.push_back(worker["generation"].get<int>());
  return found;
}

std::vector<std::string> phases(const Json& receipt) {
  std::vector<std::string> names;
  for (const auto& phase : receipt["phases"]) names.push_back(phase["phase"]);
  return names;
}

TEST_CASE_FIXTURE(Scenario, "a canary that crashes while it bakes is all that was touched") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--forks", "3"});
  const auto before = app.workers();
  Load load(*this, app.address());
  const auto finished = app.upgrade(fixture_file("bad/libcrash_later.so"),
                                    {"--canary", "1", "--bake", "20s", "--settle-nothing"});
  CHECK(finished.status == Exit::usage);  // a misspelt canary is refused
  const auto reverted =
      app.upgrade(fixture_file("bad/libcrash_later.so"), {"--canary", "1", "--bake", "20s"});
  CHECK(reverted.status == Exit::reverted);
  CHECK(contains(reverted.err, "SIGSEGV"));
  load.stop().check_nothing_lost();
  const auto after = app.workers();
  CHECK(after[0] != before[0]);
  CHECK(after[1] == before[1]);
  CHECK(after[2] == before[2]);
  const auto told = receipt(app);
  CHECK(told["plan"]["canary"] == 1);
  CHECK(phases(told) == std::vector<std::string>{"preparing", "rolling", "baking", "reverting", "leaving"});
}

TEST_CASE_FIXTURE(Scenario, "a canary bakes until its time is over, or somebody vouches for it") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--forks", "4"});
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2"), "--canary", "50%", "--bake", "10m"});
  REQUIRE(in_phase(app, "baking"));
  CHECK(Json(generations(app)) == Json{2, 2, 1, 1});
  CHECK(app.head() == fixture("version_v1") + "\n");
  CHECK(app.run("promote").status == Exit::ok);
  CHECK(upgrade.wait().status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
  CHECK(app.run("promote").status == Exit::refused);
  CHECK(app.upgrade(fixture("version_v1"), {"--canary", "1", "--bake", "50ms"}).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "an upgrade is aborted while it bakes, and in its probation") {
  Instance app(*this, fixture("version_v1"), quick);
  CHECK(app.run("abort").status == Exit::refused);
  for (const Words& trial : {Words{"--canary", "1", "--bake", "10m"}, Words{"--probation", "10m"}}) {
    Load load(*this, app.address());
    Process upgrade = app.site().launch("upgrade", Words{fixture("version_v2")} + trial);
    REQUIRE(in_phase(app, trial[0] == "--canary" ? "baking" : "probation"));
    CHECK(app.run("abort").status == Exit::ok);
    const auto finished = upgrade.wait();
    CHECK(finished.status == Exit::reverted);
    CHECK(contains(finished.err, "aborted"));
    CHECK(app.serves(fixture("version_v1")));
    CHECK(app.head() == fixture("version_v1") + "\n");
    load.stop().check_nothing_lost();
  }
}

TEST_CASE_FIXTURE(Scenario, "a crash in the probation reverts every slot") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--probation", "20s"});
  Load load(*this, app.address());
  const auto finished = app.upgrade(fixture_file("bad/libcrash_later.so"));
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "SIGSEGV"));
  CHECK(app.serves(fixture("version_v1")));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a health probe that fails reverts; one that failed before is no judge") {
  Instance app(*this, fixture("version_v1"),
               quick + Words{"--health", "GET /", "--health-interval", "100ms", "--health-limit", "300ms"});
  const auto deaf = app.upgrade(fixture_file("bad/libdeaf.so"));
  CHECK(deaf.status == Exit::reverted);
  CHECK(contains(deaf.err, "health probe"));
  CHECK(app.serves(fixture("version_v1")));
  const auto good = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(good.status == Exit::ok, good.err);
  CHECK(receipt(app)["probes"]["made"].get<int>() > 0);

  Instance sick(*this, fixture("version_v1"),
                quick + Words{"--health", "GET / 404", "--health-interval", "100ms"});
  CHECK(sick.upgrade(fixture("version_v2")).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a canary that reports more errors than the old workers is reverted") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--health-interval", "50ms"});
  Load load(*this, app.address());
  const auto finished = app.upgrade(fixture("reports_errors"), {"--canary", "1", "--bake", "20s"});
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "reports errors for"));
  CHECK(app.serves(fixture("version_v1")));
  load.stop().check_nothing_lost();
  const auto told = receipt(app);
  CHECK(told["requests"]["new"]["failed"].get<int>() >= 20);
  CHECK(told["requests"]["old"]["failed"] == 0);
}

TEST_CASE_FIXTURE(Scenario, "a command is a health probe, too") {
  const std::string flag = dir / "healthy";
  write_file(flag, "yes");
  Instance app(*this, fixture("version_v1"),
               quick + Words{"--health", "run /usr/bin/test -e " + flag, "--health-interval", "50ms"});
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  Process upgrade = app.site().launch("upgrade", {fixture("version_v1"), "--probation", "10m"});
  REQUIRE(in_phase(app, "probation"));
  std::filesystem::remove(flag);
  CHECK(upgrade.wait().status == Exit::reverted);
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "upgrades that are asked for meanwhile are refused, or wait: the newest wins") {
  Instance app(*this, fixture("version_v1"), quick);
  Process first = app.site().launch("upgrade", {fixture("version_v2"), "--canary", "1", "--bake", "10m"});
  REQUIRE(in_phase(app, "baking"));
  CHECK(app.upgrade(fixture("version_v3")).status == Exit::refused);
  Process second = app.site().launch("upgrade", {fixture("version_v1"), "--queue"});
  REQUIRE(eventually([&] { return app.status().value("queued", Json()).is_object(); }));
  Process third = app.site().launch("upgrade", {fixture("version_v3"), "--queue"});
  const auto overtaken = second.wait();
  CHECK(overtaken.status == Exit::refused);
  CHECK(contains(overtaken.err, "overtaken"));
  CHECK(app.run("promote").status == Exit::ok);
  CHECK(first.wait().status == Exit::ok);
  CHECK(third.wait().status == Exit::ok);
  CHECK(app.serves(fixture("version_v3")));
}

TEST_CASE_FIXTURE(Scenario, "a rollback goes back at any time, from the store") {
  const std::string path = dir / "libapp.so";
  std::filesystem::copy_file(fixture("version_v1"), path);
  Instance app(*this, path, quick);
  CHECK(app.run("rollback").status == Exit::failed);  // there is no earlier release
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  std::filesystem::remove(path);
  Load load(*this, app.address());
  REQUIRE(app.run("rollback").status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v1"));
  CHECK(app.head() == path + "\n");
  const auto told = receipt(app);
  CHECK(told["kind"] == "rollback");
  const auto id = told["from"]["id"].get<std::string>();
  REQUIRE(app.run("rollback", {id.substr(0, 12)}).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v2"));
  REQUIRE(app.run("rollback", {"1"}).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v1"));

  // While another release bakes, the rollback aborts that upgrade first.
  Process upgrade = app.site().launch("upgrade", {fixture("version_v3"), "--canary", "1", "--bake", "10m"});
  REQUIRE(in_phase(app, "baking"));
  const auto finished = app.run("rollback");
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(upgrade.wait().status == Exit::reverted);
  CHECK(contains(http_get(app.address()), "v2"));
  load.stop().check_nothing_lost();
  CHECK(app.run("rollback", {"99"}).status == Exit::failed);
  CHECK(app.run("rollback", {"0123456789"}).status == Exit::failed);
}

TEST_CASE_FIXTURE(Scenario, "no successor is started that has no room in the memory") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--max-memory", "1M", "--forks", "12"});
  const auto before = app.workers();
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "--max-memory"));
  CHECK(app.workers() == before);
  CHECK(app.upgrade(fixture("version_v2"), {"--surge", "0"}).status == Exit::ok);
  Instance roomy(*this, fixture("version_v1"), quick + Words{"--max-memory", "1G"});
  CHECK(roomy.upgrade(fixture("version_v2")).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "surge 0 lets the old one leave first") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--surge", "0"});
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const auto told = receipt(app);
  for (const auto& slot : told["slots"]) {
    REQUIRE(slot["workers"].size() == 2);
    CHECK(slot["workers"][0]["gone_ms"].get<int>() <= slot["workers"][1]["spawned_ms"].get<int>());
  }
}

TEST_CASE_FIXTURE(Scenario, "the receipt tells what an upgrade was, and stays") {
  const auto site = std::make_shared<Site>(*this);
  {
    Instance app(site, fixture("version_v1"), quick);
    const auto printed = app.upgrade(fixture("version_v2"), {"--json"});
    REQUIRE(printed.status == Exit::ok);
    const auto told = Json::parse(printed.out);
    CHECK(told == receipt(app));
    CHECK(told["number"] == 2);
    CHECK(told["kind"] == "upgrade");
    CHECK(told["outcome"] == "ok");
    CHECK(contains(told["asked"]["by"].get<std::string>(), "uid "));
    CHECK(told["asked"]["value"] == fixture("version_v2"));
    CHECK(told["from"]["path"] == fixture("version_v1"));
    CHECK(told["to"]["path"] == fixture("version_v2"));
    CHECK(told["to"]["id"].get<std::string>().size() == 64);
    CHECK(told["length_ms"].get<long>() >= told["phases"].back()["at_ms"].get<long>());
    REQUIRE(told["slots"].size() == 2);
    for (const auto& slot : told["slots"]) {
      REQUIRE(slot["workers"].size() == 2);
      CHECK(slot["workers"][0]["role"] == "old");
      CHECK(slot["workers"][0]["exit"] == "0");
      CHECK(slot["workers"][0]["lost"] == 0);
      CHECK(slot["workers"][1]["role"] == "new");
      CHECK(slot["workers"][1]["ready_ms"].get<long>() >= slot["workers"][1]["spawned_ms"].get<long>());
    }
    CHECK(told["queues"][0]["peak_depth"].is_number());
    CHECK(told["skew_ms"].is_number());
    CHECK(receipt(app, {"1"})["kind"] == "start");
    CHECK(contains(app.run("receipt").out, "v2"));
    CHECK(contains(app.run("history").out, "upgrade"));
  }
  // Without a master the history can still be read.
  const auto offline = site->run("history", {"--json"});
  CHECK(offline.status == Exit::ok);
  CHECK(Json::parse(offline.out).size() == 2);
  CHECK(site->run("receipt", {"7"}).status == Exit::failed);
}

TEST_CASE_FIXTURE(Scenario, "the store keeps the last releases and what runs, and no more") {
  Instance app(*this, fixture("version_v1"), quick + Words{"--keep-releases", "2"});
  for (const char* name : {"version_v2", "version_v3", "ready_v1", "ready_v2"})
    REQUIRE(app.upgrade(fixture(name)).status == Exit::ok);
  const auto releases = app.site().state_dir() + "/releases";
  CHECK(eventually([&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(releases))
      count += entry.path().filename().string().size() == 64;
    return count == 2;
  }));
  CHECK(app.run("rollback", {"1"}).status == Exit::failed);
  CHECK(app.run("rollback").status == Exit::ok);
}

void flip(Scenario& scenario, const char* mode, const Words& load_options) {
  Instance app(scenario, fixture("version_v1"), quick + Words{"--listen-mode", mode});
  Load load(scenario, app.address(), load_options);
  long longest = 0;
  for (int i = 0; i < 20; ++i) {
    const auto finished = app.upgrade(fixture(i % 2 == 0 ? "version_v2" : "version_v1"), {"--flip"});
    REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
    longest = std::max(longest, receipt(app)["skew_ms"].get<long>());
  }
  const auto report = load.stop();
  report.check_nothing_lost();
  MESSAGE(mode, ": 20 flips, ", report.attempts(), " attempts, ", report.failures(), " failed, longest skew ",
          longest, " ms");
}

TEST_CASE_FIXTURE(Scenario, "flips under load, reuseport") { flip(*this, "reuseport", {"--rate", "500"}); }
TEST_CASE_FIXTURE(Scenario, "flips under load, shared") { flip(*this, "shared", {"--rate", "500"}); }
TEST_CASE_FIXTURE(Scenario, "flips under load, keep-alive") {
  flip(*this, "reuseport", {"--rate", "500", "--keep-alive", "--connections", "50"});
}

TEST_CASE_FIXTURE(Scenario, "a flip that fails leaves the old workers as they were") {
  Instance app(*this, fixture("version_v1"), quick);
  const auto before = app.workers();
  Load load(*this, app.address());
  CHECK(app.upgrade(fixture("crash_start"), {"--flip"}).status == Exit::reverted);
  CHECK(app.workers() == before);
  CHECK(app.upgrade(fixture_file("bad/libcrash_later.so"), {"--flip", "--probation", "20s"}).status ==
        Exit::reverted);
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.upgrade(fixture("version_v2"), {"--flip"}).status == Exit::ok);
  CHECK(app.upgrade(fixture("version_v1"), {"--flip", "--canary", "1"}).status == Exit::usage);
  load.stop().check_nothing_lost();
}

}  // namespace
}  // namespace scenario
