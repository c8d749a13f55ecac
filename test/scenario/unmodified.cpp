// Ordinary servers that know nothing of liveswap, with their own bind, listen and accept: upgraded under
// load.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "support/connection.hpp"
#include "support/file.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 20;

// The servers that could be built here; only one if the environment names it.
std::vector<std::string> servers() {
  std::istringstream list(std::getenv("UNMODIFIED_SERVER") ? std::getenv("UNMODIFIED_SERVER")
                                                           : UNMODIFIED_SERVERS);
  std::vector<std::string> found;
  for (std::string name; std::getline(list, name, ',');) found.push_back(name);
  return found;
}

bool runs_alone() { return std::getenv("UNMODIFIED_SERVER") != nullptr; }

std::string server(const std::string& name, const std::string& version) {
  return UNMODIFIED_BUILD "/lib" + name + "_" + version + ".so";
}

const Words as_a_program{"--entry", "main"};

// The server that makes system calls without libc needs an option.
Words options_for(const std::string& name) {
  return name == "raw" ? as_a_program + Words{"--intercept", "seccomp"} : as_a_program;
}

// Requests a second. A process for each of 300 connections a second fills a machine that runs other tests.
std::string rate_for(const std::string& name) { return name == "forks" ? "100" : "300"; }

// A connection that a child process serves cannot be handed off.
bool can_be_handed_off(const std::string& name) {
  return !name.starts_with("uring") && name != "raw" && name != "forks";
}

void check_no_failures(Sessions& sessions) {
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  CHECK(sessions.answers() > 0);
}

// The command returns when the old workers have exited: none by force.
void check_clean_ends(const Instance& app) {
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  int old = 0;
  for (const auto& slot : receipt["slots"])
    for (const auto& worker : slot["workers"])
      if (worker["role"] == "old") {
        ++old;
        CHECK(worker["end"] == "clean");
      }
  CHECK(old == 2);
}

void upgrade_under_load(Scenario& scenario, const std::string& name) {
  CAPTURE(name);
  const Port port;
  Instance app(scenario, server(name, "v1"), options_for(name), {port.text()});
  Load load(scenario, port.address(), {"--rate", rate_for(name)});
  Sessions sessions(port.address());
  for (int i = 1; i <= upgrades; ++i) {
    const auto before = app.workers();
    REQUIRE(before.size() == 2);
    const auto finished = app.upgrade(server(name, i % 2 ? "v2" : "v1"));
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK(all_gone(before));
    check_clean_ends(app);
  }
  check_no_failures(sessions);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  MESSAGE(name, ": ", upgrades, " upgrades, ", report.attempts(), " attempts and ", sessions.answers(),
          " on kept connections, 0 failed");
}

TEST_CASE_FIXTURE(Scenario, "20 upgrades under load") {
  for (const std::string& name : servers()) upgrade_under_load(*this, name);
}

// Clients that never close a connection, and repeat nothing: each closed connection is a failure.
void migrate_under_load(Scenario& scenario, const std::string& name, int count, Sessions::Manner manner,
                        const Words& options = {}) {
  CAPTURE(name);
  const Port port;
  Instance app(scenario, server(name, "v1"), as_a_program + Words{"--keepalive", "migrate"} + options,
               {port.text()});
  manner.requests = 0;
  Sessions sessions({port.address()}, manner);
  REQUIRE(sessions.all_began());
  milliseconds longest{0};
  for (int i = 1; i <= count; ++i) {
    const auto before = app.workers();
    const auto began = Clock::now();
    const auto finished = app.upgrade(server(name, i % 2 ? "v2" : "v1"));
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK_MESSAGE(eventually([&] { return all_gone(before); }), "workers of generation ", i,
                  " are still there");
    longest = std::max(longest, std::chrono::duration_cast<milliseconds>(Clock::now() - began));
  }
  check_no_failures(sessions);
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  MESSAGE(name, ": ", count, " upgrades, ", manner.clients, " connections that were never closed, ",
          sessions.answers(), " answers, 0 failed; the longest upgrade with its drain ", longest.count(),
          " ms");
}

TEST_CASE_FIXTURE(Scenario, "5 upgrades, and connections go along" * doctest::skip(!runs_alone())) {
  for (const std::string& name : servers())
    if (can_be_handed_off(name))
      migrate_under_load(*this, name, 5, {.clients = 24, .pause = milliseconds(25)});
}

TEST_CASE_FIXTURE(Scenario, "100 upgrades and 200 pooled connections" * doctest::skip(runs_alone())) {
  migrate_under_load(*this, "epoll", 100, {.clients = 200, .pause = milliseconds(25)});
}

// As many as the limit on descriptors permits: each has one here, three in the old worker.
std::size_t many_connections() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return std::min<rlim_t>(5'000, limit.rlim_max / 4);
}

std::string ask_version(Connection& connection) {
  if (!connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")) return "";
  for (std::string line; (line = connection.read_line()) != "\r\n";)
    if (!line.ends_with("\n")) return "";
  return connection.read_exactly(2);
}

// More than the worker host takes in one step (1,024), and than it holds at once (4,096).
TEST_CASE_FIXTURE(Scenario,
                  "thousands of idle connections of one worker go along" * doctest::skip(runs_alone())) {
  const std::size_t count = many_connections();
  if (count < 5'000) MESSAGE("only ", count, " connections: the limit on descriptors is too low for more");
  const Port port;
  Instance app(*this, server("epoll", "v1"),
               as_a_program + Words{"--forks", "1", "--keepalive", "migrate", "--keepalive-grace", "100ms"},
               {port.text()});
  std::vector<Connection> connections;
  for (std::size_t i = 0; i < count; ++i) {
    connections.emplace_back(port.address());
    REQUIRE(ask_version(connections.back()) == "v1");
  }
  const auto before = app.workers();
  REQUIRE(app.upgrade(server("epoll", "v2")).status == Exit::ok);
  CHECK(eventually([&] { return all_gone(before); }));
  std::size_t kept = 0;
  for (Connection& connection : connections) kept += ask_version(connection) == "v2";
  CHECK(kept == count);
}

// A connection with a slow answer in pieces is not idle; connections of clients that are never idle are
// handed off, too: within half of the drain limit, because the kernel cannot tell which side sent last.
TEST_CASE_FIXTURE(Scenario, "connections go along between slow answers" * doctest::skip(runs_alone())) {
  migrate_under_load(*this, "slow", 5, {.clients = 24, .pause = milliseconds(0)}, {"--drain-limit", "10s"});
}

TEST_CASE_FIXTURE(Scenario,
                  "the same listener under one library after the other" * doctest::skip(runs_alone())) {
  const Port port;
  Instance app(*this, server("threads", "v1"), as_a_program, {port.text()});
  Load load(*this, port.address(), {"--rate", "300"});
  Sessions sessions(port.address());
  std::vector<std::string> names = servers();
  std::erase(names, "raw");
  names.push_back("threads");
  bool second = true;
  for (const std::string& name : names) {
    CAPTURE(name);
    const std::string version = second ? "v2" : "v1";
    const auto finished = app.upgrade(server(name, version));
    REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK(contains(http_get(port.address()), second ? "2" : "1"));
    second = !second;
  }
  check_no_failures(sessions);
  load.stop().check_nothing_lost();
}

// On the system that liveswap is tested on, packages.txt lists all that these servers need.
TEST_CASE("every server that is known was built" * doctest::skip(runs_alone())) {
  if (read_file("/etc/debian_version").starts_with("12")) CHECK(std::string(UNMODIFIED_MISSING) == "");
}

// Old before new, with one socket: connections wait in its queue meanwhile.
TEST_CASE_FIXTURE(Scenario, "old before new loses nothing" * doctest::skip(runs_alone())) {
  const Port port;
  Instance app(*this, server("epoll", "v1"), as_a_program + Words{"--surge", "0", "--forks", "1"},
               {port.text()});
  Load load(*this, port.address(), {"--rate", "300"});
  for (int i = 1; i <= 6; ++i) CHECK(app.upgrade(server("epoll", i % 2 ? "v2" : "v1")).status == Exit::ok);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario,
                  "a rollback, and a worker that dies, keep the listeners" * doctest::skip(runs_alone())) {
  const Port port;
  Instance app(*this, server("epoll", "v1"), as_a_program, {port.text()});
  CHECK(app.upgrade(server("epoll", "v2")).status == Exit::ok);
  const auto before = app.workers();
  REQUIRE(::kill(before.at(0), SIGKILL) == 0);
  REQUIRE(eventually([&] { return app.workers().size() == 2 && app.workers().at(0) != before.at(0); }));
  Load load(*this, port.address(), {"--rate", "300"});
  CHECK(app.run("rollback").status == Exit::ok);
  CHECK(contains(http_get(port.address()), "v1"));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario,
                  "an io_uring that nobody else may cancel is refused" * doctest::skip(runs_alone())) {
  const std::string refused = server("uring_single", "v2");
  if (!std::filesystem::exists(refused)) return;
  const Port port;
  Instance app(*this, server("threads", "v1"), as_a_program, {port.text()});
  Sessions sessions(port.address());
  REQUIRE(sessions.all_began());
  const auto finished = app.upgrade(refused);
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "IORING_SETUP_SINGLE_ISSUER"), finished.err);
  check_no_failures(sessions);
  CHECK(sessions.answers_of("v2") == 0);
}

TEST_CASE_FIXTURE(Scenario, "one that calls its main from liveswap_main" * doctest::skip(runs_alone())) {
  const Port port;
  Instance app(*this, server("adapted", "v1"), {"--entry", "liveswap_main"}, {port.text()});
  Sessions sessions(port.address());
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= 4; ++i) CHECK(app.upgrade(server("adapted", i % 2 ? "v2" : "v1")).status == Exit::ok);
  check_no_failures(sessions);
}

TEST_CASE_FIXTURE(Scenario, "one socket for all workers" * doctest::skip(runs_alone())) {
  const Port port;
  Instance app(*this, server("threads", "v1"), as_a_program + Words{"--listen-mode", "shared"},
               {port.text()});
  Load load(*this, port.address(), {"--rate", "300"});
  for (int i = 1; i <= 6; ++i)
    CHECK(app.upgrade(server(i % 2 ? "epoll" : "threads", "v2")).status == Exit::ok);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario,
                  "several listeners, both families and a Unix socket" * doctest::skip(runs_alone())) {
  const Port one, two, three;
  const std::string path = "unix:" + (dir / "app.sock");
  const std::vector<std::string> addresses{one.address(), "127.0.0.1:" + two.text(), "[::1]:" + two.text(),
                                           path};
  for (const std::string name : {"threads", "epoll"}) {
    CAPTURE(name);
    Instance app(*this, server(name, "v1"), as_a_program, {one.text(), "[::]:" + two.text(), path});
    Sessions sessions(addresses, {.clients = 8});
    REQUIRE(sessions.all_began());
    for (int i = 1; i <= 6; ++i) CHECK(app.upgrade(server(name, i % 2 ? "v2" : "v1")).status == Exit::ok);
    check_no_failures(sessions);
  }
}

}  // namespace
}  // namespace scenario
