// The master is killed; the next one takes everything over. No worker is started anew. killed_often.cpp does
// that at random moments, under load.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/load.hpp"
#include "support/mortal.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const Words options{"--settle", "20ms", "--drain-limit", "10s", "--term-grace", "500ms"};

TEST_CASE_FIXTURE(Scenario, "a killed master's workers serve on, and the next one has the same history") {
  Mortal app(*this, fixture("version_v1"), options);
  CHECK(app->upgrade(fixture("version_v2")).status == Exit::ok);
  const auto history = app->run("history", {"--json"}).out;
  const auto workers = app->workers();
  const auto head = app->head();
  app.kill();
  for (int i = 0; i < 20; ++i) CHECK(contains(http_get(app.address()), "v2"));
  app.start();
  CHECK(contains(app.log(), "took over 2 workers of a master that was killed; generation 2"));
  CHECK(app->workers() == workers);
  CHECK(app->head() == head);
  CHECK(app->status()["generation"] == 2);
  CHECK(app->run("history", {"--json"}).out == history);
  CHECK(app->run("rollback").status == Exit::ok);
  CHECK(app->serves(fixture("version_v1")));
  CHECK(app->run("forks", {"3"}).status == Exit::ok);
  app.kill();
  app.start();
  CHECK(app->status()["forks"] == 3);
  CHECK(app->run("message", {"hello"}).status == Exit::ok);
  // A release store may look at the release for a moment.
  CHECK(eventually([&] { return app->children().empty(); }));
}

TEST_CASE_FIXTURE(Scenario, "a held connection goes on, also one that drains, and holds up nobody") {
  Mortal app(*this, fixture("version_v1"), options);
  Connection held(app.address());
  REQUIRE(held.send("GET / HTTP/1.1\r\nHost: x\r\n"));
  REQUIRE(eventually([&] { return app->connections() > 0; }));
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2")});
  REQUIRE(eventually([&] { return app->status()["generation"] == 2; }));
  app.kill();
  CHECK(upgrade.wait().status != Exit::ok);
  app.start();
  CHECK(contains(http_get(app.address()), "v2"));
  REQUIRE(held.send("\r\n"));
  CHECK(contains(held.read_all(), "v1"));
  // The receipt of the upgrade is written when the last old worker has left.
  CHECK(eventually([&] { return contains(app->run("history").out, "upgrade"); }));
  CHECK(app->serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "a worker that dies while there is no master is replaced") {
  Mortal app(*this, fixture("version_v1"), options + Words{"--forks", "1"});
  const auto before = app->workers();
  app.kill();
  ::kill(before[0], SIGKILL);
  REQUIRE(eventually([&] { return all_gone(before); }));
  // The socket waits: a connection is accepted by the kernel, and answered by the next worker.
  Connection client(app.address());
  REQUIRE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  app.start();
  CHECK(contains(client.read_all(), "v1"));
  CHECK(app->workers() != before);
  CHECK(app->status()["slots"][0]["restarts"] == 1);
}

TEST_CASE_FIXTURE(Scenario, "an adopted worker that dies is replaced, and drains as any other") {
  Mortal app(*this, fixture("version_v1"), options);
  app.kill();
  app.start();
  const auto before = app->workers();
  ::kill(before[0], SIGKILL);
  CHECK(eventually([&] { return app->workers().size() == 2 && app->workers()[0] != before[0]; }));
  const auto upgraded = app->upgrade(fixture("version_v2"));
  CHECK_MESSAGE(upgraded.status == Exit::ok, upgraded.err);
  CHECK_FALSE(contains(upgraded.out, "died"));
}

TEST_CASE_FIXTURE(Scenario, "where no master comes in time, the workers drain and leave") {
  Mortal app(*this, fixture("version_v1"), options + Words{"--orphan-wait", "300ms"});
  const auto workers = app->workers();
  app.kill();
  CHECK(contains(http_get(app.address()), "v1"));
  CHECK(eventually([&] { return all_gone(workers); }));
  CHECK_FALSE(Connection::attempt(app.address()));
  CHECK_FALSE(std::filesystem::exists(app.site().state_dir() + "/keeper.sock"));
  app.start();
}

TEST_CASE_FIXTURE(Scenario, "orphan-wait none: the workers leave at once") {
  Mortal app(*this, fixture("version_v1"), options + Words{"--orphan-wait", "none"});
  CHECK_FALSE(std::filesystem::exists(app.site().state_dir() + "/keeper.sock"));
  const auto workers = app->workers();
  app.kill();
  CHECK(eventually([&] { return all_gone(workers); }));
  app.start();
}

TEST_CASE_FIXTURE(Scenario, "status and stop say what is there without a master") {
  Mortal app(*this, fixture("version_v1"), options + Words{"--orphan-wait", "forever"});
  const auto workers = app->workers();
  app.kill();
  const auto status = app.site().run("status");
  CHECK(status.status == Exit::no_master);
  CHECK_MESSAGE(contains(status.err, "2 workers of a killed master"), status.err);
  CHECK(contains(status.err, std::to_string(workers[0])));
  CHECK(contains(status.err, "until a new one comes"));
  const auto stopped = app.site().run("stop");
  CHECK(stopped.status == Exit::ok);
  CHECK(eventually([&] { return all_gone(workers); }));
  app.start();
}

TEST_CASE_FIXTURE(Scenario, "an end by command leaves no keeper, and the port is free at once") {
  Mortal app(*this, fixture("version_v1"), options);
  for (int i = 0; i < 3; ++i) {
    CHECK(app->run("stop").status == Exit::ok);
    CHECK(app->master().wait().status == Exit::ok);
    CHECK_FALSE(std::filesystem::exists(app.site().state_dir() + "/keeper.sock"));
    app.start();
  }
}

TEST_CASE_FIXTURE(Scenario, "two starts at once against orphans: one is the master") {
  Mortal app(*this, fixture("version_v1"), options);
  const auto workers = app->workers();
  app.kill();
  const Words words = options + Words{"--listen", app.address()};
  Process one = app.site().launch("start", words), other = app.site().launch("start", words);
  CHECK(eventually([&] { return app.site().status().value("state", "") == "running"; }));
  CHECK(eventually([&] { return one.running() != other.running(); }));
  Process& loser = one.running() ? other : one;
  CHECK(loser.wait().status == Exit::refused);
  CHECK(all_run(workers));
  CHECK(app.site().run("stop").status == Exit::ok);
  app.start();
}

// A socket that another process has put there does not answer as a keeper does.
TEST_CASE_FIXTURE(Scenario, "a forged keeper is found out, and the start goes on without it") {
  Mortal app(*this, fixture("version_v1"), options);
  CHECK(app->run("stop").status == Exit::ok);
  app->master().wait();
  const std::string path = app.site().state_dir() + "/keeper.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto listening = liveswap::UniqueFd::adopt(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listening.get(), 8) == 0);
  app.start();
  CHECK(contains(app.log(), "liveswap-keeper does not answer"));
  CHECK(contains(http_get(app.address()), "v1"));
}

pid_t keeper_of(const Site& site) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const auto words = proc::arguments(pid);
    if (words.size() == 2 && words[0] == "liveswap-keeper" && words[1] == site.state_dir() && proc::runs(pid))
      return pid;
  }
  return 0;
}

std::set<std::string> sockets_of(pid_t pid) {
  std::set<std::string> found;
  for (const auto& [fd, what] : proc::descriptors(pid))
    if (what.starts_with("socket:")) found.insert(what);
  return found;
}

std::set<std::string> common_sockets(const std::set<std::string>& one, const std::set<std::string>& other) {
  std::set<std::string> common;
  std::ranges::set_intersection(one, other, std::inserter(common, common.end()));
  return common;
}

TEST_CASE_FIXTURE(Scenario, "the keeper is replaced when it dies") {
  Mortal app(*this, fixture("version_v1"), options);
  const pid_t keeper = keeper_of(app.site());
  REQUIRE(keeper > 0);
  // The listener and the channels of two workers, at least.
  std::set<std::string> held;
  REQUIRE(eventually([&] {
    held = common_sockets(sockets_of(keeper), sockets_of(app->master().pid()));
    return held.size() >= 3;
  }));
  ::kill(keeper, SIGKILL);
  // The next one has everything that the master still has.
  REQUIRE(eventually([&] {
    const pid_t next = keeper_of(app.site());
    if (next == 0 || next == keeper) return false;
    const auto needed = common_sockets(held, sockets_of(app->master().pid()));
    return needed.size() >= 3 && common_sockets(needed, sockets_of(next)) == needed;
  }));
  const auto workers = app->workers();
  app.kill();
  app.start();
  CHECK(app->workers() == workers);
}

TEST_CASE_FIXTURE(Scenario, "what the next start says otherwise is applied like a reload") {
  Mortal app(*this, fixture("version_v1"), options);
  Load load(*this, app.address(), {"--rate", "200"});
  const auto workers = app->workers();
  app.kill();
  app.start_with(options + Words{"--forks", "3", "--env", "MODE=late"});
  CHECK(eventually([&] {
    const auto status = app->status();
    return status["generation"] == 2 && status["forks"] == 3 && status["state"] == "running";
  }));
  CHECK(eventually([&] { return all_gone(workers); }));
  CHECK(eventually([&] { return app->workers().size() == 3; }));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a killed master that was re-executed before is no other case") {
  Mortal app(*this, fixture("version_v1"), options);
  CHECK(app->run("reexec").status == Exit::ok);
  const auto workers = app->workers();
  app.kill();
  app.start();
  CHECK(app->workers() == workers);
  CHECK(app->run("reexec").status == Exit::ok);
  CHECK(app->workers() == workers);
  CHECK(app->upgrade(fixture("version_v2")).status == Exit::ok);
}

// A server that binds its own listeners, TCP and Unix.
TEST_CASE_FIXTURE(Scenario, "listeners of the application are taken over") {
  Port port;
  Mortal app(*this, own_fixture("binder_v1"), options + Words{"--entry", "main"}, {port.text()});
  Load load(*this, port.address(), {"--rate", "200"});
  const auto workers = app->workers();
  app.kill();
  app.start();
  CHECK(app->workers() == workers);
  CHECK(app->upgrade(own_fixture("binder_v2")).status == Exit::ok);
  app.kill();
  app.start();
  const auto report = load.stop();
  report.check_nothing_lost();
  const auto before = app->workers();
  ::kill(before[0], SIGKILL);
  CHECK(eventually([&] { return app->workers().size() == before.size() && app->workers() != before; }));
  CHECK(contains(http_get(port.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "the Unix listener of a killed master is taken over with its file") {
  const std::string path = "unix:" + (dir / "app.sock");
  Mortal app(*this, own_fixture("report"), options + Words{"--listen", "local=" + path}, {"local"});
  const auto workers = app->workers();
  app.kill();
  CHECK(contains(http_get(path), "listener=local"));
  app.start();
  CHECK(app->workers() == workers);
  CHECK(contains(http_get(path), "listener=local"));
  CHECK(app->upgrade(own_fixture("report"), {"--flip"}).status == Exit::ok);
  app.kill();
  app.start();
  CHECK(contains(http_get(path), "listener=local"));
}

// 100 KiB on both streams, more than a pipe holds: nobody but the keeper reads them.
TEST_CASE_FIXTURE(Scenario, "what workers write without a master goes to where it went") {
  const auto site = std::make_shared<Site>(*this);
  Instance app(site, own_fixture("talker_serve"), options + Words{"--forks", "1"});
  const auto worker = app.workers();
  app.master().signal(SIGKILL);
  app.master().wait();
  const auto before = app.master().err().size();
  CHECK(contains(http_get(site->address()), "v1"));
  CHECK(eventually([&] { return app.master().err().size() >= before + 100 * 1024; }));
  CHECK(app.master().out().size() >= 100 * 1024);
  CHECK(all_run(worker));
  CHECK(site->run("stop").status == Exit::ok);
  CHECK(eventually([&] { return all_gone(worker); }));
}

TEST_CASE_FIXTURE(Scenario,
                  "a background master with --restart is started again, and ends as it is told to") {
  const auto site = std::make_shared<Site>(*this);
  const auto started = site->run(
      "start", options + Words{"--daemon", "--restart", "--listen", site->address(), fixture("version_v1")});
  REQUIRE_MESSAGE(started.status == Exit::ok, started.err);
  // "master PID on port …": the process that starts masters. Signals that nobody means for it do not end it.
  const pid_t starter = std::stoi(started.out.substr(started.out.find("master ") + 7));
  for (const int stray : {SIGALRM, SIGPIPE, SIGPROF, SIGIO, SIGXCPU}) ::kill(starter, stray);
  const auto workers_of = [](const Json& status) {
    std::set<pid_t> pids;
    for (const auto& slot : status.value("slots", Json::array()))
      for (const auto& worker : slot["workers"]) pids.insert(worker["pid"].get<pid_t>());
    return pids;
  };
  Load load(*this, site->address(), {"--rate", "200"});
  const auto before = site->status();
  for (int i = 0; i < 3; ++i) {
    const auto master = site->status()["pid"].get<pid_t>();
    ::kill(master, SIGKILL);
    CHECK(eventually([&] {
      const auto now = site->status();
      return now.value("state", "") == "running" && now["pid"] != master;
    }));
    CHECK(workers_of(site->status()) == workers_of(before));
  }
  load.stop().check_nothing_lost();
  const auto master = site->status()["pid"].get<pid_t>();
  CHECK(site->run("stop").status == Exit::ok);
  CHECK(eventually([&] { return !proc::runs(master); }));
  CHECK(eventually([&] { return site->run("status").status == Exit::no_master; }));
}

}  // namespace
}  // namespace scenario
