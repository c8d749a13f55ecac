// Servers that fork for each connection: an old worker is there until the last of its children has answered.
#include <doctest/doctest.h>
#include <signal.h>

#include <sstream>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

std::string forker(const std::string& version) { return FORKER_BUILD "/libforker_" + version + ".so"; }

Json old_worker(const Instance& app) {
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  for (const auto& slot : receipt["slots"])
    for (const auto& worker : slot["workers"])
      if (worker["role"] == "old") return worker;
  return {};
}

// Waits until a process of the only worker has the connection. `status` would not do: on a busy machine it
// has no count, because the worker's answer comes too late.
bool child_serves(Instance& app) {
  return eventually([&] { return proc::descendants(app.master().pid()).size() == 2; });
}

// Upgrades while a child of the only worker has a request.
void keeps_the_request(Scenario& scenario, const std::string& leaves, const std::string& makes) {
  CAPTURE(leaves);
  CAPTURE(makes);
  const std::string gate = scenario.dir / "gate";
  Instance app(scenario, forker("v1"), {"--forks", "1"}, {leaves, makes, gate});
  Connection client(app.address());
  client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(child_serves(app));
  Process upgrade = app.site().launch("upgrade", {forker("v2")});
  // The old worker drains, and the master knows that a connection is left.
  REQUIRE(upgrade.says("has 1 connection left"));
  write_file(gate, "");
  const auto finished = upgrade.wait();
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK_MESSAGE(!contains(finished.out + finished.err, "died"), finished.out, finished.err);
  // The upgrade has waited for the child, so the answer is complete.
  const std::string answer = client.read_all(milliseconds(1));
  CHECK_MESSAGE(contains(answer, "v1\n"), answer);
  const Json worker = old_worker(app);
  CHECK_MESSAGE(worker["end"] == "clean", worker.dump());
  CHECK_MESSAGE(worker["connections"] == 1, worker.dump());
  CHECK_MESSAGE(worker["lost"] == 0, worker.dump());
  CHECK(contains(http_get(app.address()), "v2"));
}

// Without the line breaks of a terminal's width.
std::string in_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

// Of an entry of `left` in the status. The slot is known where workers have cgroups of their own.
std::string leaver(const Json& left) {
  if (!left.contains("slot")) return "a worker";
  return "slot " + left["slot"].dump() + " of generation " + left["generation"].dump();
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "a worker that is retired from outside waits for its children") {
  keeps_the_request(*this, "outside", "once");
}

TEST_CASE_FIXTURE(Scenario, "and for children of its children whose own parent has ended") {
  keeps_the_request(*this, "outside", "twice");
}

TEST_CASE_FIXTURE(Scenario, "a worker that returns before its children do is waited for with them") {
  keeps_the_request(*this, "return", "once");
}

TEST_CASE_FIXTURE(Scenario, "a worker that ends by SIGTERM does not take its children with it") {
  keeps_the_request(*this, "raise", "once");
}

TEST_CASE_FIXTURE(
    Scenario, "20 upgrades under load, new and kept connections, of workers that end before their children") {
  for (const std::string leaves : {"return", "raise"}) {
    CAPTURE(leaves);
    Instance app(*this, forker("v1"), {"--settle", "20ms"}, {leaves, "kept"});
    Load load(*this, app.address(), {"--rate", "100"});
    Sessions kept({app.address()}, {.requests = 5});
    REQUIRE(kept.all_began());
    for (int i = 1; i <= 20; ++i) {
      const auto finished = app.upgrade(forker(i % 2 ? "v2" : "v1"));
      CHECK_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
      const Json worker = old_worker(app);
      CHECK_MESSAGE(worker["end"] == "clean", worker.dump());
      CHECK_MESSAGE(worker["lost"] == 0, worker.dump());
    }
    for (const auto& [what, count] : kept.stop()) FAIL_CHECK(count, " times: ", what);
    const auto report = load.stop();
    report.check_nothing_lost();
    for (const std::string version : {"v1", "v2"}) CHECK(kept.answers_of(version) > 0);
    MESSAGE(leaves, ": 20 upgrades, ", report.attempts(), " attempts and ", kept.answers(),
            " on kept connections, 0 failed");
  }
}

TEST_CASE_FIXTURE(Scenario, "a child that never answers is ended with its group at the drain limit") {
  for (const std::string leaves : {"outside", "raise"}) {
    CAPTURE(leaves);
    Instance app(*this, forker("v1"), {"--forks", "1", "--drain-limit", "500ms", "--term-grace", "100ms"},
                 {leaves, "stuck"});
    Connection client(app.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    REQUIRE(child_serves(app));
    const pid_t worker = app.workers().at(0);
    const auto children = proc::descendants(worker);
    REQUIRE(children.size() == 1);
    const auto finished = app.upgrade(forker("v2"));
    CHECK_MESSAGE(finished.status == Exit::failed, finished.err);
    CHECK_MESSAGE(contains(finished.err, "ended by force"), finished.err);
    CHECK_MESSAGE(contains(finished.err, "which cut 1 connection of processes"), finished.err);
    CHECK(contains(app.head(), forker("v2")));
    CHECK(old_worker(app)["end"] == "forced");
    CHECK(eventually([&] { return !proc::runs(children.at(0)); }));
  }
}

// The process still has the socket when the master has exited, and exits when the socket is shut down.
TEST_CASE_FIXTURE(Scenario, "a process that a worker has left behind does not keep the address") {
  const std::string path = dir / "app.sock";
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    Site site(*this);
    const Words words{"--listen",      site.address(), "--listen",   "other=unix:" + path,
                      "--listen-mode", mode,           forker("v1"), "--",
                      "return",        "helper"};
    for (int i = 0; i < 2; ++i) {
      Process master = site.launch("start", words);
      REQUIRE_MESSAGE(eventually([&] { return site.status().value("state", "") == "running"; }),
                      master.err());
      CHECK(site.run("stop").status == Exit::ok);
      CHECK(master.wait().status == Exit::ok);
      CHECK_FALSE(Connection::attempt(site.address()));
    }
  }
}

// Otherwise it would serve the old code for ever.
TEST_CASE_FIXTURE(Scenario,
                  "a process that accepts beside its worker is ended with that, and no request is lost") {
  Instance app(*this, forker("v1"), {"--settle", "20ms"}, {"return", "acceptor"});
  Load load(*this, app.address(), {"--rate", "100"});
  for (int i = 1; i <= 5; ++i) {
    const std::string version = i % 2 ? "v2" : "v1", before = i % 2 ? "v1" : "v2";
    const auto finished = app.upgrade(forker(version));
    CHECK_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    for (int k = 0; k < 40; ++k) CHECK_FALSE(contains(http_get(app.address()), before));
    const Json left = old_worker(app).value("left", Json::array());
    REQUIRE_MESSAGE(left.size() == 1, left.dump());
    CHECK(left[0]["ended"] == true);
    CHECK(left[0]["listeners"] == Json{"0"});
    CHECK(eventually([&] { return !proc::runs(left[0]["pid"].get<pid_t>()); }));
    CHECK_FALSE(app.status().contains("left"));
  }
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a worker that dies takes the processes with it that accept beside it") {
  Instance app(*this, forker("v1"), {"--forks", "1"}, {"return", "acceptor"});
  const pid_t worker = app.workers().at(0);
  const auto orphans = [&] {
    auto found = proc::descendants(app.status()["pid"].get<pid_t>());
    std::erase(found, app.workers().at(0));
    return found;
  };
  REQUIRE(eventually([&] { return orphans().size() == 1; }));
  const pid_t orphan = orphans().at(0);
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(eventually([&] { return !proc::runs(orphan); }));
}

// An orphan that has executed another program cannot be told from one of the serving worker: both are named.
TEST_CASE_FIXTURE(Scenario, "programs that workers have left with a listener open are named, and go on") {
  Instance app(*this, forker("v1"), {"--forks", "1"}, {"return", "program"});
  const auto finished = app.upgrade(forker("v2"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK_MESSAGE(contains(finished.out + finished.err, "that old workers have left may still accept"),
                finished.out, finished.err);
  const Json left = app.status()["left"];
  REQUIRE_MESSAGE(!left.empty(), left.dump());
  for (const Json& one : left) {
    const pid_t pid = one["pid"];
    CHECK(one["program"] == "sleep");
    CHECK(one["listeners"] == Json{"0"});
    CHECK(contains(in_one_line(app.run("status").out),
                   "process " + std::to_string(pid) + " (sleep), which " + leaver(one) +
                       " has left, has the listener 0 open: no upgrade reaches it; end it"));
    CHECK(contains(app.run("receipt").out,
                   "left process " + std::to_string(pid) + " (sleep) with a listener open"));
    CHECK(proc::runs(pid));
  }
  // Also by the next program.
  CHECK(app.run("reexec").status == Exit::ok);
  CHECK(app.status()["left"] == left);
  for (const pid_t one : proc::descendants(app.status()["pid"].get<pid_t>()))
    if (one != app.workers().at(0)) CHECK(::kill(one, SIGKILL) == 0);
  CHECK(eventually([&] { return !app.status().contains("left"); }));
}

// A worker that exits without having been told to drain has failed, and its children are ended.
TEST_CASE_FIXTURE(Scenario, "SIGTERM of a worker that serves is a failure") {
  Instance app(*this, forker("v1"), {"--forks", "1"}, {"raise", "once"});
  const pid_t worker = app.workers().at(0);
  REQUIRE(::kill(worker, SIGTERM) == 0);
  CHECK(eventually([&] { return app.workers().size() == 1 && app.workers().at(0) != worker; }));
  CHECK(app.status()["slots"][0]["restarts"] == 1);
}

}  // namespace scenario
