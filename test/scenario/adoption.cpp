// The master is killed while clients use listeners of every kind. The next one has the same listeners and
// workers, and no request is lost.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/mortal.hpp"
#include "support/plans.hpp"

namespace scenario {
namespace {

const Words quick{"--settle", "20ms", "--drain-limit", "10s", "--term-grace", "500ms"};

std::string planned(const std::string& version) { return own_fixture("binder_" + version); }

std::string address_of(const Instance& app, const std::string& name) {
  const Json status = app.status();
  for (const auto& one : status["listeners"])
    if (one["name"] == name) return one["address"];
  return "";
}

// Kills the master, starts the next one, and expects the same workers.
void fall(Mortal& app) {
  const auto workers = app->workers();
  app.kill();
  CHECK(all_run(workers));
  app.start();
  CHECK(app->workers() == workers);
}

TEST_CASE_FIXTURE(Scenario,
                  "TCP, port 0, UDP, Unix and abstract listeners of an application are taken over") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    const Port tcp, datagrams, blocking;
    const std::string path = dir / "app.sock", abstract = "@" + dir.path() + "-" + mode;
    const auto plan =
        plan_of(*this, mode,
                {"listen " + tcp.text(), "listen 0", "listen unix:" + path, "listen unix:" + abstract,
                 "udp " + datagrams.text(), "udp-thread " + blocking.text()});
    Mortal app(*this, planned("v1"), quick + Words{"--entry", "main", "--listen-mode", mode}, {plan});
    Words streams{tcp.address(), "unix:" + path, "unix:" + abstract};
    const auto before = all_listeners(*app);
    CHECK(before.size() == 6);
    const Json status = app->status();
    for (const auto& one : status["listeners"])
      if (is_chosen(one, {&tcp, &datagrams, &blocking})) streams.push_back(one["address"]);
    REQUIRE(streams.size() == 4);
    Sessions sessions(streams, {8, 10, milliseconds(5)});
    Datagrams asking(datagrams), asking_thread(blocking);
    REQUIRE(sessions.all_began());
    fall(app);
    fall(app);
    CHECK(all_listeners(*app) == before);
    CHECK(asking.stop() == 0);
    CHECK(asking_thread.stop() == 0);
    CHECK(app->upgrade(planned("v2")).status == Exit::ok);
    fall(app);
    check_nothing_lost(sessions);
    // A worker that the new master has started gets the sockets, too.
    const auto workers = app->workers();
    ::kill(workers[0], SIGKILL);
    REQUIRE(eventually([&] { return app->workers().size() == 2 && app->workers() != workers; }));
    CHECK(all_listeners(*app) == before);
    for (const auto& address : streams) CHECK(contains(http_get(address), "v2"));
    for (const Port* port : {&datagrams, &blocking}) CHECK(datagram_answer(*port) == "v2");
  }
}

TEST_CASE_FIXTURE(Scenario, "a listener with port 0 has the same port under the next master") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    Mortal app(*this, own_fixture("report"),
               quick + Words{"--listen", "chosen=127.0.0.1:0", "--listen-mode", mode}, {"chosen"});
    const auto address = address_of(*app, "chosen");
    REQUIRE(address.starts_with("127.0.0.1:"));
    Load load(*this, address, {"--rate", "200"});
    for (int i = 0; i < 3; ++i) {
      fall(app);
      CHECK(address_of(*app, "chosen") == address);
    }
    CHECK(app->upgrade(own_fixture("report"), {"--flip"}).status == Exit::ok);
    fall(app);
    CHECK(address_of(*app, "chosen") == address);
    load.stop().check_nothing_lost();
  }
}

// The file of a Unix socket that such a worker has bound belongs to that user.
TEST_CASE_FIXTURE(Scenario, "workers of another user are taken over by the next master of root") {
  if (::geteuid() != 0) {
    MESSAGE("needs root: left out");
    return;
  }
  ::chmod(dir.path().c_str(), 0711);
  const auto host = std::filesystem::path(liveswap_program()).parent_path() / "liveswap-worker";
  const Words as_nobody{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"};
  if (run(dir, {as_nobody + Words{"test", "-x", host}}).status != 0) {
    MESSAGE("nobody may not run ", host.string(), ": left out");
    return;
  }
  const Port tcp;
  const std::string open = dir.directory("open"), path = open + "/app.sock";
  ::chmod(open.c_str(), 01777);
  const auto plan = plan_of(*this, "plans", {"listen " + tcp.text(), "listen unix:" + path});
  ::chmod(plan.c_str(), 0755);
  for (const char* version : {"v1", "v2"}) {
    ::chmod((plan + "/" + version + ".plan").c_str(), 0644);
    write_file(dir / version, read_file(planned(version)));
  }
  Mortal app(*this, dir / "v1", quick + Words{"--entry", "main", "--user", "nobody"}, {plan});
  const auto before = all_listeners(*app);
  Sessions sessions({tcp.address(), "unix:" + path}, {4, 10, milliseconds(5)});
  REQUIRE(sessions.all_began());
  fall(app);
  CHECK(app->upgrade(dir / "v2").status == Exit::ok);
  fall(app);
  check_nothing_lost(sessions);
  CHECK(all_listeners(*app) == before);
  ::kill(app->workers()[0], SIGKILL);
  REQUIRE(app->serves(dir / "v2"));
  for (const pid_t worker : app->workers()) CHECK(proc::status_number(worker, "Uid") == 65534);
  struct stat file {};
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(eventually([&] { return ::lstat(path.c_str(), &file) == 0; }));
  CHECK(file.st_uid == 65534);
}

TEST_CASE_FIXTURE(Scenario, "a start with other listeners takes the workers over, and then changes them") {
  const Port extra, third;
  const std::string path = "unix:" + (dir / "x.sock");
  Mortal app(*this, own_fixture("report"), quick + Words{"--listen", "x=" + extra.address()}, {"x"});
  Load load(*this, app.address(), {"--rate", "200"});
  auto workers = app->workers();
  const auto changed_to = [&](const Words& listen) {
    app.kill();
    CHECK(all_run(workers));
    app.start_with(quick + listen);
    CHECK(contains(app.log(), "took over 2 workers"));
    CHECK(eventually([&] { return all_gone(workers); }));
    CHECK(eventually([&] {
      workers = app->workers();
      return workers.size() == 2;
    }));
  };
  // One listener moves to a host name, all slots share a socket.
  changed_to({"--listen", "x=localhost:" + third.text(), "--listen-mode", "shared"});
  CHECK(contains(http_get(third.address()), "listener=x"));
  CHECK_FALSE(Connection::attempt(extra.address()));
  CHECK(app->status()["listen_mode"] == "shared");
  changed_to({"--listen", "x=" + path});
  CHECK(contains(http_get(path), "listener=x"));
  CHECK(eventually([&] { return !Connection::attempt(third.address()); }));
  changed_to({});
  CHECK_FALSE(Connection::attempt(path));
  CHECK(app->status()["listeners"].size() == 1);
  load.stop().check_nothing_lost();
  const auto history = Json::parse(app->run("history", {"--json"}).out);
  CHECK_MESSAGE(contains(history.dump(), "start of pid"), history.dump());
}

TEST_CASE_FIXTURE(Scenario, "a backlog that the next start says is set at once") {
  Mortal app(*this, fixture("version_v1"), quick);
  const auto workers = app->workers();
  app.kill();
  app.start_with(quick + Words{"--backlog", "17"});
  CHECK(eventually([&] { return contains(app.log(), "backlog (4096 → 17) at once"); }));
  CHECK(app->workers() == workers);
}

TEST_CASE_FIXTURE(Scenario, "listeners that cannot be bound are named, and the former ones stay") {
  const Port taken;
  Instance other(std::make_shared<Site>(*this, "owner"), fixture("version_v1"),
                 {"--listen", "taken=" + taken.address()});
  Mortal app(*this, own_fixture("report"), quick, {"x"});
  const auto workers = app->workers();
  app.kill();
  app.start_with(quick + Words{"--listen", "x=" + taken.address(), "--forks", "3"});
  CHECK(eventually([&] { return contains(app.log(), "goes on with the options of the former start"); }));
  CHECK(contains(app.log(), taken.address()));
  CHECK(app->workers() == workers);
  CHECK(contains(http_get(app.address()), "listener=0"));
  CHECK(app->status()["listeners"].size() == 1);
}

// The command that starts a master in the background returns when that serves as the start has said.
TEST_CASE_FIXTURE(Scenario, "a start in the background has its own listeners when it says that it is ready") {
  const Port extra;
  const auto site = std::make_shared<Site>(*this);
  const auto start = [&](const Words& more) {
    const auto started = site->run("start", quick + Words{"--daemon", "--listen", site->address()} + more +
                                                Words{own_fixture("report"), "--", "x"});
    REQUIRE_MESSAGE(started.status == Exit::ok, started.err);
  };
  start({});
  const auto master = site->status()["pid"].get<pid_t>();
  ::kill(master, SIGKILL);
  REQUIRE(eventually([&] { return !proc::runs(master); }));
  start({"--listen", "x=" + extra.address()});
  CHECK(contains(http_get(extra.address()), "listener=x"));
  CHECK(site->run("stop").status == Exit::ok);
  CHECK(eventually([&] { return site->run("status").status == Exit::no_master; }));
}

}  // namespace
}  // namespace scenario
