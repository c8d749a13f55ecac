// Workers that hang while they serve, and the liveness checks that find them (--liveness).
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

using namespace nlohmann::literals;

constexpr milliseconds interval{2'000};

Words watched(const std::string& check, const Words& more = {}) {
  return Words{"--liveness", check, "--liveness-interval", "2s", "--liveness-limit", "500ms",
               "--settle",   "20ms"} +
         more;
}

// A client whose request hangs the worker that gets it. The connection stays open.
Connection hang(const std::string& address) {
  Connection client(address);
  client.send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  return client;
}

unsigned restarts(const Instance& app) {
  unsigned sum = 0;
  const auto status = app.status();
  for (const auto& slot : status.value("slots", Json::array())) sum += slot["restarts"].get<unsigned>();
  return sum;
}

std::size_t survivors(const Instance& app, const std::vector<pid_t>& before) {
  const auto now = app.workers();
  std::size_t count = 0;
  for (std::size_t slot = 0; slot < now.size() && slot < before.size(); ++slot)
    count += now[slot] == before[slot];
  return count;
}

// Requests that wait for the hung worker are answered by its successor; no later one gets there.
void replace_under_load(Scenario& scenario, const std::string& mode, const std::string& check) {
  CAPTURE(mode);
  Instance app(scenario, own_fixture("hanger"), watched(check, {"--forks", "4", "--listen-mode", mode}));
  const auto before = app.workers();
  Load load(scenario, app.address(), {"--rate", "100", "--timeout-ms", "20000"});
  const auto began = Clock::now();
  const auto client = hang(app.address());
  REQUIRE(app.master().says("hangs: slot"));
  REQUIRE(eventually([&] { return restarts(app) == 1 && survivors(app, before) == 3; }));
  CHECK(Clock::now() - began <= 3 * interval);
  CHECK(app.serves(own_fixture("hanger")));
  load.stop().check_nothing_lost();
  CHECK(survivors(app, before) == 3);
  CHECK(restarts(app) == 1);
  CHECK(contains(app.master().err(), "does not answer: " + check));
  CHECK(contains(app.status().dump(), "it hangs: 3 liveness checks in a row unanswered"));
}

TEST_CASE_FIXTURE(Scenario, "a worker that hangs under load is replaced, reuseport") {
  replace_under_load(*this, "reuseport", "GET /");
}
TEST_CASE_FIXTURE(Scenario, "a worker that hangs under load is replaced, shared") {
  replace_under_load(*this, "shared", "connect");
}

TEST_CASE_FIXTURE(Scenario, "a worker whose heartbeats stay away is replaced; one that waits goes on") {
  Instance app(*this, own_fixture("hanger_heartbeat"),
               {"--liveness", "heartbeat", "--liveness-interval", "500ms", "--liveness-limit", "300ms"});
  const auto before = app.workers();
  let_pass(milliseconds(2'000));
  CHECK(app.workers() == before);
  const auto client = hang(app.address());
  REQUIRE(eventually([&] { return survivors(app, before) == 1; }));
  CHECK(app.serves(own_fixture("hanger_heartbeat")));
  CHECK(contains(app.master().err(), "heartbeat: no heartbeat within 800 ms"));
}

TEST_CASE_FIXTURE(Scenario,
                  "the sample that gives heartbeats: a stopped worker is replaced, a drain is not held up") {
  Instance app(*this, sample("hello_keepalive"),
               {"--liveness", "heartbeat", "--liveness-interval", "300ms", "--liveness-limit", "300ms"});
  const auto before = app.workers();
  REQUIRE(eventually([&] { return contains(http_get(app.address()), "Hello World"); }));
  let_pass(milliseconds(1'500));
  CHECK(app.workers() == before);
  REQUIRE(::kill(before[0], SIGSTOP) == 0);
  REQUIRE(eventually([&] { return restarts(app) == 1 && survivors(app, before) == 1; }));
  CHECK(app.upgrade(sample("hello_keepalive")).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a command is asked for each worker by itself") {
  const std::string script = dir / "asks", sick = dir / "sick";
  write_file(script, "#!/bin/sh\nkill -0 $LIVESWAP_PID && [ $LIVESWAP_GENERATION = 1 ] &&\n[ ! -e " + sick +
                         "$LIVESWAP_SLOT ]\n");
  REQUIRE(::chmod(script.c_str(), 0755) == 0);
  Instance app(*this, fixture("version_v1"),
               {"--liveness", "run " + script, "--liveness-interval", "100ms", "--liveness-limit", "2s"});
  const auto before = app.workers();
  let_pass(milliseconds(500));
  CHECK(app.workers() == before);
  write_file(sick + "1", "");
  REQUIRE(eventually([&] { return app.workers().size() == 2 && app.workers()[1] != before[1]; }));
  std::filesystem::remove(sick + "1");
  CHECK(app.workers()[0] == before[0]);
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario,
                  "a worker that hangs again and again is not replaced in a loop; the others serve") {
  Instance app(*this, own_fixture("hanger"),
               {"--liveness", "GET /", "--liveness-interval", "100ms", "--liveness-limit", "200ms",
                "--settle", "20ms", "--listen-mode", "shared"});
  std::vector<Connection> clients;
  // In two slots the third time at the latest hits a slot that has been replaced a moment ago.
  const auto is_held_back = [&] { return app.status().contains("replaced_in_ms"); };
  for (unsigned times = 1; times <= 3 && !is_held_back(); ++times) {
    clients.push_back(hang(app.address()));
    REQUIRE(eventually([&] { return restarts(app) >= times || is_held_back(); }));
  }
  REQUIRE(is_held_back());
  CHECK(contains(app.run("status").out, "has not answered for"));
  CHECK(contains(app.run("status").out, "workers hang too often"));
  const unsigned early = restarts(app);
  CHECK(early <= 2);
  for (int i = 0; i < 10; ++i) CHECK(contains(http_get(app.address()), "v1"));
  const unsigned late = restarts(app);
  if (is_held_back()) CHECK(late == early);
}

TEST_CASE_FIXTURE(Scenario, "a worker that hangs in probation has failed the upgrade; the receipt names it") {
  Instance app(*this, fixture("version_v1"), watched("GET /", {"--forks", "1"}));
  Process upgrade = app.site().launch("upgrade", {own_fixture("hanger"), "--probation", "10m"});
  REQUIRE(eventually([&] { return app.status().value("/upgrade/phase"_json_pointer, "") == "probation"; }));
  const auto client = hang(app.address());
  const auto finished = upgrade.wait();
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "it hangs: 3 liveness checks in a row unanswered"));
  CHECK(app.serves(fixture("version_v1")));
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  CHECK(contains(receipt["reason"].get<std::string>(), "it hangs"));
}

TEST_CASE_FIXTURE(Scenario, "a check that no worker has ever answered replaces nobody") {
  Instance app(*this, fixture("version_v1"),
               {"--liveness", "GET / 418", "--liveness-interval", "100ms", "--liveness-limit", "100ms"});
  const auto before = app.workers();
  REQUIRE(app.master().says("does not answer: GET / 418: found status 200, expected 418"));
  let_pass(milliseconds(4'000));
  CHECK(app.workers() == before);
  CHECK(restarts(app) == 0);
}

TEST_CASE_FIXTURE(Scenario, "a worker that cannot be asked is left alone, and the log says why") {
  Instance app(*this, own_fixture("hanger_unseen"),
               {"--liveness", "connect", "--liveness-interval", "100ms", "--liveness-limit", "200ms"});
  const auto before = app.workers();
  REQUIRE(app.master().says("cannot be asked whether it answers (connect)"));
  for (int i = 0; i < 10; ++i) CHECK(contains(http_get(app.address()), "v1"));
  CHECK(app.workers() == before);
}

TEST_CASE_FIXTURE(Scenario, "a reload turns liveness checks on, and off again") {
  const std::string file = dir / "liveswap.yaml", plain = "forks: 2\nsettle: 20ms\n";
  write_file(file, plain);
  Instance app(*this, own_fixture("hanger"), {"-c", file});
  const auto before = app.workers();
  const auto client = hang(app.address());
  write_file(file, plain + "liveness: GET /\nliveness-interval: 100ms\nliveness-limit: 200ms\n");
  CHECK(contains(app.run("reload").out, "liveness (none → GET /)"));
  REQUIRE(eventually([&] { return restarts(app) == 1 && survivors(app, before) == 1; }));
  CHECK(app.status().at("generation") == 1);
  write_file(file, plain);
  CHECK(app.run("reload").status == Exit::ok);
  const auto after = app.workers();
  const auto other = hang(app.address());
  let_pass(milliseconds(2'000));
  CHECK(app.workers() == after);
  CHECK_FALSE(contains(app.run("status").out, "has not answered"));
}

TEST_CASE_FIXTURE(Scenario,
                  "a reload changes how often workers give heartbeats; nobody counts as hung by it") {
  const std::string file = dir / "liveswap.yaml";
  const std::string plain = "forks: 2\nsettle: 20ms\ndrain-limit: 300ms\nliveness: heartbeat\n";
  write_file(file, plain + "liveness-interval: 10m\n");
  Instance app(*this, own_fixture("hanger_heartbeat"), {"-c", file});
  REQUIRE(eventually([&] { return app.serves(own_fixture("hanger_heartbeat")); }));
  write_file(file, plain + "liveness-interval: 300ms\nliveness-limit: 300ms\nbatch: 1\n");
  CHECK(contains(app.run("reload").out, "liveness-interval (10m → 300ms)"));
  CHECK(app.status().at("generation") == 2);
  CHECK_FALSE(contains(app.master().err(), "does not answer"));
  const auto before = app.workers();
  const auto client = hang(app.address());
  REQUIRE(eventually([&] { return restarts(app) == 1 && survivors(app, before) == 1; }));
  CHECK(contains(app.master().err(), "heartbeat: no heartbeat within 600 ms"));
}

// One worker hangs before the re-execution, and one after it.
void hang_around_reexecution(Scenario& scenario, const std::string& library, const std::string& check) {
  CAPTURE(check);
  Instance app(
      scenario, own_fixture(library),
      {"--liveness", check, "--liveness-interval", "1s", "--liveness-limit", "300ms", "--forks", "3"});
  auto before = app.workers();
  REQUIRE(app.serves(own_fixture(library)));
  const auto first = hang(app.address());
  CHECK(app.run("reexec").status == Exit::ok);
  REQUIRE(eventually([&] { return restarts(app) == 1 && survivors(app, before) == 2; }));
  CHECK(app.status().at("executions") == 1);
  REQUIRE(eventually([&] { return app.workers().size() == 3; }));
  before = app.workers();
  const auto second = hang(app.address());
  REQUIRE(eventually([&] { return restarts(app) == 2 && survivors(app, before) == 2; }));
}

TEST_CASE_FIXTURE(Scenario, "a re-executed master finds workers that hang") {
  hang_around_reexecution(*this, "hanger", "GET /");
  hang_around_reexecution(*this, "hanger_heartbeat", "heartbeat");
}

TEST_CASE_FIXTURE(Scenario, "workers are asked by listeners of both families, and by Unix sockets") {
  for (const std::string& address :
       {std::string("[::1]:0"), std::string("*:0"), "unix:" + (dir / "app.sock")}) {
    CAPTURE(address);
    const auto site = std::make_shared<Site>(*this, std::to_string(address.size()));
    Instance app(site, own_fixture("hanger"),
                 {"--listen", "other=" + address, "--forks", "1", "--liveness", "other=GET /",
                  "--liveness-interval", "100ms", "--liveness-limit", "5s"});
    let_pass(milliseconds(500));
    CHECK_FALSE(contains(app.master().err(), "does not answer"));
    CHECK_FALSE(contains(app.master().err(), "asked whether it answers"));
  }
}

}  // namespace
}  // namespace scenario
