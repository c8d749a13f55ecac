// Workers that only drain: long connections delay neither the fix of a bad release nor a rollback.
#include <doctest/doctest.h>

#include <list>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

// Connections to every worker, each with an unfinished request. They last as long as the object.
class Held {
 public:
  explicit Held(const Instance& app, unsigned count = 8) {
    for (unsigned i = 0; i < count; ++i) connections_.emplace_back(app.address()).send("GET / HT");
    REQUIRE(eventually([&] { return app.connections() >= count; }));
  }

 private:
  std::list<Connection> connections_;
};

// Waits until a new connection is answered by that version; returns the time since `since`.
milliseconds until_served(const Instance& app, const std::string& version, Clock::time_point since) {
  REQUIRE(eventually([&] { return contains(http_get(app.address()), version); }));
  return std::chrono::duration_cast<milliseconds>(Clock::now() - since);
}

// Waits until the release is committed and no upgrade runs; old workers may still drain.
bool committed(const Instance& app, const std::string& library) {
  return eventually([&] {
    const auto status = app.status();
    return status.value("state", "") == "running" && status.value("head", "") == library;
  });
}

std::size_t draining(const Instance& app) {
  std::size_t count = 0;
  const Json status = app.status();
  for (const auto& slot : status["slots"])
    for (const auto& worker : slot["workers"]) count += worker["state"] == "draining" ? 1 : 0;
  return count;
}

// Far below the drain limit of a minute, and far above the usual time, for busy machines.
constexpr milliseconds at_once{10'000};

TEST_CASE_FIXTURE(Scenario, "long connections delay neither the fix nor the rollback") {
  for (const Words& pace : {Words{}, Words{"--surge", "1"}}) {
    Instance app(*this, fixture("version_v1"), pace);
    const Held of_v1(app);
    REQUIRE(app.upgrade(fixture("version_v2"), {"--detach"}).status == Exit::ok);
    until_served(app, "v2", Clock::now());
    REQUIRE(committed(app, fixture("version_v2")));
    const Held of_v2(app, 16);
    auto begun = Clock::now();
    REQUIRE(app.upgrade(fixture("version_v3"), {"--detach"}).status == Exit::ok);
    const auto fix = until_served(app, "v3", begun);
    REQUIRE(committed(app, fixture("version_v3")));
    begun = Clock::now();
    REQUIRE(app.run("rollback", {"--detach"}).status == Exit::ok);
    const auto back = until_served(app, "v2", begun);
    CHECK(fix < at_once);
    CHECK(back < at_once);
    CHECK(draining(app) >= 4);
    MESSAGE("the fix served after ", fix.count(), " ms, the rollback after ", back.count(), " ms");
    CHECK(app.run("die").status == Exit::ok);
  }
}

TEST_CASE_FIXTURE(Scenario, "without surge, too, the way back does not wait for a worker that drains") {
  Instance app(*this, fixture("version_v1"), {"--surge", "0", "--forks", "1"});
  REQUIRE(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const Held of_v2(app);
  const auto begun = Clock::now();
  const auto finished = app.run("rollback");
  CHECK(until_served(app, "v1", begun) < at_once);
  CHECK(finished.status == Exit::ok);
  CHECK_MESSAGE(contains(finished.out, "8 connections killed by force"), finished.out);
  CHECK(contains(finished.out, "(surge 0) and was ended by force"));
}

TEST_CASE_FIXTURE(Scenario, "beyond max-draining the longest are ended, and all is said") {
  Instance app(*this, fixture("version_v1"),
               {"--forks", "1", "--max-draining", "2", "--term-grace", "100ms"});
  std::list<Held> held;
  Process first = app.site().launch("upgrade", {fixture("version_v2")});
  for (const std::string version : {"v2", "v3", "v1"}) {
    if (version != "v2") REQUIRE(app.upgrade(fixture("version_" + version), {"--detach"}).status == Exit::ok);
    REQUIRE(committed(app, fixture("version_" + version)));
    held.emplace_back(app, static_cast<unsigned>(8 * (held.size() + 1)));
  }
  // No connection kept the workers of the first release; of v2, v3 and v1 two may drain.
  REQUIRE(first.wait().status == Exit::ok);
  Process second = app.site().launch("upgrade", {fixture("version_v2")});
  REQUIRE(committed(app, fixture("version_v2")));
  CHECK(eventually([&] { return draining(app) == 2; }));
  REQUIRE(eventually([&] {
    const auto told = Json::parse(app.run("receipt", {"2", "--json"}).out, nullptr, false);
    return told.is_object() && told.contains("outcome");
  }));
  const auto told = Json::parse(app.run("receipt", {"3", "--json"}).out);
  const auto& worker = told["slots"][0]["workers"][0];
  CHECK(worker["end"] == "forced");
  CHECK(worker["force"] == "it was the longest of more than 2 draining workers (--max-draining)");
  CHECK(worker["killed"].get<int>() > 0);
  CHECK(contains(told["reason"].get<std::string>(), "killed by force"));
  CHECK(app.run("die").status == Exit::ok);
  second.wait();
}

TEST_CASE_FIXTURE(Scenario, "twenty upgrades while connections last: nothing is lost") {
  Instance app(*this, fixture("version_v1"), {"--max-draining", "1000"});
  Load load(*this, app.address());
  Load kept(*this, app.address(), {"--rate", "200", "--keep-alive", "--connections", "20"});
  std::list<Held> held;
  for (int i = 0; i < 20; ++i) {
    held.emplace_back(app, 4);
    const std::string next = fixture(i % 2 == 0 ? "version_v2" : "version_v1");
    REQUIRE(app.upgrade(next, {"--detach"}).status == Exit::ok);
    REQUIRE(committed(app, next));
  }
  const auto fresh_report = load.stop(), kept_report = kept.stop();
  for (const LoadReport& report : {fresh_report, kept_report}) {
    report.check_nothing_lost();
    CHECK(report.answers_of("v1") > 0);
    CHECK(report.answers_of("v2") > 0);
  }
  CHECK(draining(app) >= 20);
  MESSAGE("20 upgrades, ", fresh_report.attempts(), " attempts and ", kept_report.attempts(),
          " on kept connections, 0 failed");
  CHECK(app.run("die").status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a canary of more slots than there are asks whether per cent were meant") {
  const auto asks = [](const Finished& finished) {
    CHECK_MESSAGE(contains(finished.err, "was 50% meant?"), finished.err);
    return finished.status;
  };
  const Site other(*this, "other");
  const Words canary{"--canary", "50", "--forks", "3"};
  CHECK(asks(other.run("start", canary + Words{fixture("version_v1")})) == Exit::usage);
  write_file(dir / "liveswap.yaml", "forks: 3\ncanary: 50\n");
  CHECK(asks(other.run("start", {"--config", dir / "liveswap.yaml", fixture("version_v1")})) == Exit::usage);
  Instance app(*this, fixture("version_v1"), {"--forks", "3", "--canary", "2", "--bake", "10ms"});
  const auto workers = app.workers();
  CHECK(asks(app.upgrade(fixture("version_v2"), {"--canary", "50"})) == Exit::usage);
  CHECK(app.workers() == workers);
  // The number of slots may have been reduced since the start.
  REQUIRE(app.run("forks", {"1"}).status == Exit::ok);
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::usage);
  CHECK(contains(finished.err, "found 2, expected at most 1"));
  CHECK(app.upgrade(fixture("version_v2"), {"--canary", "50%"}).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "what never began is refused, and pushes no upgrade out of the history") {
  Instance app(*this, fixture("version_v1"));
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::ok);
  for (const std::string words :
       {"libversion_v1.so (", ") → libversion_v2.so (", "): generation 2 serves in 2 slots after ", "lost"})
    CHECK_MESSAGE(contains(finished.out, words), finished.out);
  for (int i = 0; i < 25; ++i) CHECK(app.upgrade(dir / "missing.so").status == Exit::refused);
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  CHECK(receipt["outcome"] == "refused");
  for (const char* unknown : {"to", "plan", "slots", "skew_ms"}) CHECK(receipt[unknown].is_null());
  const auto history = app.run("history").out;
  CHECK(contains(history, "libversion_v2.so"));
  CHECK(history.find("libversion_v2.so") < history.find("refused before anything was touched:"));
  CHECK(contains(app.run("receipt").out, "refused"));
}

}  // namespace
}  // namespace scenario
