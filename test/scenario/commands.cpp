// The commands besides start and upgrade.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

// One slot gives one answer.
const Words single{"--forks", "1"};

TEST_CASE_FIXTURE(Scenario, "a message reaches every worker, and how many is said") {
  Instance app(*this, fixture("messages"), {"--forks", "3"});
  const auto finished = app.run("message", {"good morning"});
  CHECK(finished.status == Exit::ok);
  CHECK(contains(finished.out + finished.err, "3"));
  for (int i = 0; i < 12; ++i)
    CHECK(eventually([&] { return contains(http_get(app.address()), "good morning"); }));
}

TEST_CASE_FIXTURE(Scenario, "a long message is not cut") {
  Instance app(*this, fixture("messages"), single);
  const std::string text(60'000, 'm');
  CHECK(app.run("message", {text}).status == Exit::ok);
  CHECK(eventually([&] { return contains(http_get(app.address()), text); }));
  CHECK(app.run("message", {std::string(70'000, 'm')}).status != Exit::ok);
  CHECK(app.run("message", {""}).status == Exit::usage);
}

TEST_CASE_FIXTURE(Scenario, "kill replaces every worker and returns when the new ones are ready") {
  Instance app(*this, fixture("version_v1"));
  const auto before = app.workers();
  const auto finished = app.run("kill");
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  const auto after = app.workers();
  CHECK(after.size() == 2);
  for (const pid_t pid : before) {
    CHECK(std::find(after.begin(), after.end(), pid) == after.end());
    CHECK_FALSE(proc::runs(pid));
  }
  CHECK(app.serves(fixture("version_v1"), milliseconds(0)));
}

TEST_CASE_FIXTURE(Scenario, "die ends workers and master") {
  Instance app(*this, fixture("version_v1"));
  CHECK(app.run("die").status == Exit::ok);
  CHECK(app.master().wait().status == Exit::ok);
  // The keeper ends a moment after the master. It is then a child of the test, which does not reap it.
  CHECK(eventually([] { return !proc::has_running_child(::getpid()); }));
  CHECK_FALSE(Connection::attempt(app.address()));
}

TEST_CASE_FIXTURE(Scenario, "stop drains first") {
  Instance app(*this, fixture("version_v1"));
  Connection client(app.address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  CHECK(app.run("stop").status == Exit::ok);
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(app.master().wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "an upgrade without a path takes what is at the current one now") {
  const std::string library = dir / "libapp.so";
  write_file(library, read_file(fixture("version_v1")));
  Instance app(*this, library);
  // Writes a new file and renames it: the running file is mapped and must not be written to.
  write_file(library + ".new", read_file(fixture("version_v2")));
  REQUIRE(::rename((library + ".new").c_str(), library.c_str()) == 0);
  const auto finished = app.run("upgrade");
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(http_get(app.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "a detached upgrade returns when it is under way") {
  Instance app(*this, fixture("version_v1"), {"--ready-limit", "3s"});
  CHECK(app.upgrade(fixture("never_ready"), {"--detach"}).status == Exit::ok);
  CHECK(app.status()["state"] == "upgrading");
  CHECK(eventually([&] { return app.status()["state"] == "running"; }));
  CHECK(app.status()["last_upgrade"]["status"] == "reverted");
}

TEST_CASE_FIXTURE(Scenario, "an upgrade says what happens, a line an event") {
  Instance app(*this, fixture("version_v1"));
  const auto finished = app.upgrade(fixture("version_v2"));
  const auto text = finished.out + finished.err;
  for (const std::string word : {"started", "ready", "drains", "gone", "committed"}) {
    CAPTURE(word);
    CHECK(contains(text, word));
  }
}

TEST_CASE_FIXTURE(Scenario, "an upgrade waits for a connection that is open, and says so") {
  Instance app(*this, fixture("version_v1"), single);
  auto client = std::make_unique<Connection>(app.address());
  client->send("GET / HT");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2")});
  CHECK(upgrade.says("committed"));
  CHECK(eventually([&] { return contains(http_get(app.address()), "v2"); }));
  CHECK(upgrade.running());
  client.reset();
  CHECK(upgrade.wait().status == Exit::ok);
}

void change_forks(Scenario& scenario, const char* mode) {
  Instance app(scenario, fixture("version_v1"), {"--listen-mode", mode});
  Load load(scenario, app.address(), {"--rate", "300", "--keep-alive", "--connections", "20"});
  Load new_connections(scenario, app.address(), {"--rate", "300"});
  for (const std::string count : {"4", "1", "3", "2"}) {
    CAPTURE(count);
    const auto finished = app.run("forks", {count});
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK(app.serves(fixture("version_v1"), milliseconds(0)));
    CHECK(std::to_string(app.workers().size()) == count);
  }
  load.stop().check_nothing_lost();
  new_connections.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "forks up and down, reuseport") { change_forks(*this, "reuseport"); }
TEST_CASE_FIXTURE(Scenario, "forks up and down, shared") { change_forks(*this, "shared"); }

// More connections wait for the removed slot than it can serve in its last second.
TEST_CASE_FIXTURE(Scenario, "forks down loses nobody who waits") {
  Instance app(*this, own_fixture("one_by_one"), {"--drain-limit", "20s"});
  std::vector<Connection> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(app.address());
    REQUIRE(clients.back().send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  }
  CHECK(app.run("forks", {"1"}).status == Exit::ok);
  int answered = 0;
  for (auto& client : clients) answered += contains(client.read_all(), "v1");
  CHECK(answered == 50);
  CHECK(app.workers().size() == 1);
}

TEST_CASE_FIXTURE(Scenario, "forks auto: one for each CPU that the master may use") {
  cpu_set_t cpus;
  REQUIRE(::sched_getaffinity(0, sizeof cpus, &cpus) == 0);
  Instance app(*this, fixture("version_v1"), {"--forks", "5"});
  const auto finished = app.run("forks", {"auto"});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.status().at("forks") == CPU_COUNT(&cpus));
}

TEST_CASE_FIXTURE(Scenario, "forks that are no number of workers") {
  Instance app(*this, fixture("version_v1"));
  for (const std::string count : {"0", "-1", "1025", "many", ""}) {
    CAPTURE(count);
    CHECK(app.run("forks", {count}).status == Exit::usage);
  }
  CHECK(app.workers().size() == 2);
}

TEST_CASE_FIXTURE(Scenario, "the status says what docs/reference/control-protocol.md promises") {
  Instance app(*this, fixture("version_v1"), {"--listen-mode", "shared"});
  const auto now = app.status();
  CHECK(now.at("pid") == app.master().pid());
  CHECK(std::to_string(now.at("port").get<int>()) == app.site().control_port());
  CHECK(now.at("head") == fixture("version_v1"));
  CHECK(now.at("head_file") == app.site().head_path());
  CHECK(now.at("generation") == 1);
  CHECK(now.at("forks") == 2);
  CHECK(now.at("zero_downtime") == true);
  CHECK(now.at("listen_mode") == "shared");
  CHECK(now.at("listeners")[0]["address"] == app.address());
  CHECK_FALSE(now.contains("last_upgrade"));
  const auto& worker = now.at("slots")[1]["workers"][0];
  CHECK(proc::runs(worker["pid"].get<pid_t>()));
  CHECK(worker["connections"] == 0);
  const auto people = app.run("status");
  CHECK(people.status == Exit::ok);
  CHECK(contains(people.out, fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "-z: an upgrade kills, and respawn goes on") {
  Instance app(*this, fixture("version_v1"), {"-z"});
  CHECK(app.status()["zero_downtime"] == false);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
  const auto before = app.workers();
  ::kill(before.at(0), SIGKILL);
  CHECK(eventually([&] { return app.workers().size() == 2 && app.workers() != before; }));
  CHECK(app.serves(fixture("version_v2")));
}

}  // namespace
}  // namespace scenario
