// Signals to the master, and --daemon.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>

#include <vector>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

// A request without an end keeps its worker until the drain limit.
Connection unfinished_request(const Instance& app) {
  Connection client(app.address());
  client.send("GET / HT");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  return client;
}

TEST_CASE_FIXTURE(Scenario, "SIGTERM drains and stops") {
  Instance app(*this, fixture("version_v1"));
  Connection client(app.address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  app.master().signal(SIGTERM);
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(app.master().wait().status == Exit::ok);
}

void stop_at_the_second(Scenario& scenario, int first, int second) {
  Instance app(scenario, fixture("version_v1"));
  const auto client = unfinished_request(app);
  app.master().signal(first);
  REQUIRE(eventually([&] { return app.status().value("state", "") == "stopping"; }));
  CHECK(app.master().running());
  app.master().signal(second);
  CHECK(app.master().wait(milliseconds(10'000)).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a second SIGINT stops now") { stop_at_the_second(*this, SIGINT, SIGINT); }
TEST_CASE_FIXTURE(Scenario, "a SIGTERM after a SIGINT stops now") {
  stop_at_the_second(*this, SIGINT, SIGTERM);
}

TEST_CASE_FIXTURE(Scenario, "SIGQUIT writes the state to the log, and the master lives on") {
  Instance app(*this, fixture("version_v1"));
  const auto workers = app.workers();
  app.master().signal(SIGQUIT);
  for (const pid_t worker : workers)
    CHECK(app.master().says("pid " + std::to_string(worker) + ": ready, generation 1"));
  CHECK(app.workers() == workers);
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "SIGUSR1 opens the log file anew, SIGUSR2 is logged, and the master lives on") {
  const std::string log = dir / "log";
  Instance app(*this, fixture("version_v1"), {"--log-file", log});
  const auto workers = app.workers();
  REQUIRE(::rename(log.c_str(), (log + ".1").c_str()) == 0);
  app.master().signal(SIGUSR1);
  CHECK(eventually([&] { return contains(read_file(log), "SIGUSR1"); }));
  app.master().signal(SIGUSR2);
  CHECK(eventually([&] { return contains(read_file(log), "SIGUSR2"); }));
  CHECK_FALSE(contains(read_file(log + ".1"), "SIGUSR2"));
  // A directory is at the file's path: the log goes on in the open file.
  REQUIRE(::rename(log.c_str(), (log + ".2").c_str()) == 0);
  dir.directory("log");
  app.master().signal(SIGUSR1);
  CHECK(eventually([&] { return contains(read_file(log + ".2"), "cannot open the log file"); }));
  CHECK(app.workers() == workers);
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "SIGUSR1 and SIGUSR2 to every liveswap, as pkill sends them, end no client") {
  Instance app(*this, fixture("version_v1"), {"--forks", "1"});
  std::optional<Connection> holds = unfinished_request(app);
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2")});
  Process watch = app.site().launch("status", {"--watch=100ms", "--json"});
  REQUIRE(watch.says("draining"));
  for (const int number : {SIGUSR1, SIGUSR2})
    for (Process* each : {&upgrade, &watch, &app.master()}) each->signal(number);
  const auto before = watch.out().size();
  CHECK(eventually([&] { return watch.out().size() > before + 1000; }));
  CHECK(upgrade.running());
  holds.reset();
  CHECK(upgrade.wait().status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
}

// A site: its masters start with these signals ignored.
std::shared_ptr<Site> ignoring(Scenario& scenario, const std::string& signals) {
  const auto site = std::make_shared<Site>(scenario);
  site->start_prefix = {"sh", "-c", "trap '' " + signals + "; exec \"$@\"", "sh"};
  return site;
}

TEST_CASE_FIXTURE(Scenario, "signals that nobody sends on purpose do nothing") {
  Instance app(*this, fixture("version_v1"));
  const auto workers = app.workers();
  std::vector<int> numbers{SIGALRM, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR,  SIGXFSZ,
                           SIGXCPU, SIGSTKFLT, SIGPIPE, SIGTTOU, SIGUSR1, SIGUSR2};
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) numbers.push_back(number);
  for (const int number : numbers) {
    CAPTURE(number);
    app.master().signal(number);
    REQUIRE(app.status()["state"] == "running");
  }
  CHECK(app.workers() == workers);
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a SIGHUP that is ignored from the start stays ignored") {
  Instance app(ignoring(*this, "HUP"), fixture("version_v1"));
  app.master().signal(SIGHUP);
  app.master().signal(SIGUSR2);
  CHECK(app.master().says("SIGUSR2"));
  CHECK_FALSE(contains(app.master().err(), "SIGHUP"));
  CHECK(app.status()["generation"] == 1);
  CHECK(app.status()["state"] == "running");
}

TEST_CASE_FIXTURE(Scenario, "an order to stop reaches a master in the background of a script") {
  Instance app(ignoring(*this, "INT QUIT"), fixture("version_v1"));
  app.master().signal(SIGINT);
  CHECK(app.master().wait().status == Exit::ok);
}

// A master on a terminal, which closes with the input of app.master().
std::shared_ptr<Site> on_terminal(Scenario& scenario, const Words& options = {}) {
  const auto site = std::make_shared<Site>(scenario);
  site->start_prefix = Words{TERMINAL} + options;
  return site;
}

void close_terminal(Instance& app) {
  Connection client(app.address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  app.master().close_input();
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(app.master().wait().status == Exit::ok);
  CHECK(contains(app.master().err(), "the terminal was closed"));
}

TEST_CASE_FIXTURE(Scenario, "a terminal that closes stops the master: what has been asked is answered") {
  Instance app(on_terminal(*this), fixture("version_v1"));
  close_terminal(app);
  CHECK_FALSE(contains(app.master().err(), "upgrade to"));
}

TEST_CASE_FIXTURE(Scenario, "so it does in the background of a shell, which passes the hang-up on") {
  Instance app(on_terminal(*this, {"--shell"}), fixture("version_v1"));
  close_terminal(app);
  CHECK_FALSE(contains(app.master().err(), "upgrade to"));
}

TEST_CASE_FIXTURE(Scenario, "so it does in the background of a shell within a shell") {
  Instance app(on_terminal(*this, {"--shell", "--shell"}), fixture("version_v1"));
  close_terminal(app);
  CHECK_FALSE(contains(app.master().err(), "upgrade to"));
}

TEST_CASE_FIXTURE(Scenario, "an operator's SIGHUP upgrades on a terminal, too") {
  Instance app(on_terminal(*this, {"--shell"}), fixture("version_v1"));
  ::kill(app.status()["pid"].get<pid_t>(), SIGHUP);
  CHECK(eventually([&] { return app.status()["generation"] == 2; }));
  close_terminal(app);
}

TEST_CASE_FIXTURE(Scenario, "SIGHUP upgrades to what is at the current path") {
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Instance app(*this, library);
  write_file(library + ".new", read_file(fixture("version_v2")));
  REQUIRE(::rename((library + ".new").c_str(), library.c_str()) == 0);
  Load load(*this, app.address());
  app.master().signal(SIGHUP);
  CHECK(eventually([&] { return app.status()["generation"] == 2; }));
  CHECK(eventually([&] { return contains(http_get(app.address()), "v2"); }));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "SIGHUP with a bad file changes nothing") {
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Instance app(*this, library);
  write_file(library + ".new", read_file(fixture("no_entry")));
  REQUIRE(::rename((library + ".new").c_str(), library.c_str()) == 0);
  const auto before = app.workers();
  app.master().signal(SIGHUP);
  CHECK(app.master().says("liveswap_main"));
  CHECK(eventually([&] { return app.status()["state"] == "running"; }));
  CHECK(app.workers() == before);
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a daemon returns when it is ready, and lives on") {
  Site site(*this);
  const auto finished = site.run("start", {"--daemon", "--listen", site.address(), fixture("version_v1")});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(http_get(site.address()), "v1"));
  const auto now = site.status();
  REQUIRE(now.at("state") == "running");
  const auto pid = now.at("pid").get<pid_t>();
  CHECK(::getsid(pid) != ::getsid(0));
  CHECK(site.run("upgrade", {fixture("version_v2")}).status == Exit::ok);
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(eventually([&] { return !proc::runs(pid); }));
  CHECK_FALSE(Connection::attempt(site.address()));
}

TEST_CASE_FIXTURE(Scenario, "a daemon that cannot start says why") {
  Site site(*this);
  for (const std::string release : {"crash_start", "no_entry", "missing_symbol"}) {
    CAPTURE(release);
    const auto finished = site.run("start", {"--daemon", "--listen", site.address(), fixture(release)});
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, "stage"));
    // The end of the log has the lines of this start.
    const auto log = read_file(site.state_dir() + "/log");
    CHECK(contains(finished.err, "its log, " + site.state_dir() + "/log, ends with:\n"));
    CHECK(contains(finished.err, log.substr(log.rfind('\n', log.size() - 2) + 1, 100)));
    CHECK(finished.err.find("preparing the upgrade") == finished.err.rfind("preparing the upgrade"));
    CHECK_FALSE(contains(finished.err, "    liveswap: "));  // the message that is already the first line
  }
  Instance running(*this, fixture("version_v1"));
  const auto finished = running.run("start", {"--daemon", "--listen", site.address(), fixture("version_v1")});
  CHECK(finished.status == Exit::refused);
  CHECK(contains(finished.err, "already runs"));
}

}  // namespace
}  // namespace scenario
