// liveswap itself is replaced while applications serve at listeners of every kind that they have bound
// themselves.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/plans.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

std::string planned(const std::string& version) { return own_fixture("binder_" + version); }

TEST_CASE_FIXTURE(Scenario, "TCP, port 0, UDP, Unix and abstract listeners of an application are kept") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    const Port tcp, datagrams, blocking;
    const std::string path = dir / "app.sock", abstract = "@" + dir.path() + "-" + mode;
    const auto plan =
        plan_of(*this, mode,
                {"listen " + tcp.text(), "listen 0", "listen unix:" + path, "listen unix:" + abstract,
                 "udp " + datagrams.text(), "udp-thread " + blocking.text()});
    Instance app(*this, planned("v1"), {"--entry", "main", "--listen-mode", mode}, {plan});
    Words streams{tcp.address(), "unix:" + path, "unix:" + abstract};
    const auto before = all_listeners(app);
    CHECK(before.size() == 6);
    const Json status = app.status();
    for (const auto& one : status["listeners"])
      if (is_chosen(one, {&tcp, &datagrams, &blocking})) streams.push_back(one["address"]);
    REQUIRE(streams.size() == 4);
    struct stat file {};
    REQUIRE(::lstat(path.c_str(), &file) == 0);
    const auto workers = app.workers();
    Sessions sessions(streams, {8, 10, milliseconds(5)});
    REQUIRE(sessions.all_began());
    const auto reexecute = [&] {
      Process reexec = app.site().launch("reexec");
      while (reexec.running())
        for (const Port* port : {&datagrams, &blocking}) CHECK_FALSE(datagram_answer(*port).empty());
      CHECK(reexec.wait().status == Exit::ok);
    };
    reexecute();
    reexecute();
    CHECK(all_listeners(app) == before);
    CHECK(app.workers() == workers);
    // A respawned worker gets the sockets from the new program.
    ::kill(workers[0], SIGKILL);
    REQUIRE(eventually([&] { return app.workers().size() == 2 && app.workers() != workers; }));
    sessions.stop();  // the killed worker's connections are lost
    Sessions again(streams, {8, 10, milliseconds(5)});
    REQUIRE(again.all_began());
    CHECK(app.upgrade(planned("v2")).status == Exit::ok);
    reexecute();
    check_nothing_lost(again);
    CHECK(all_listeners(app) == before);
    for (const auto& address : streams) CHECK(contains(http_get(address), "v2"));
    for (const Port* port : {&datagrams, &blocking}) CHECK(datagram_answer(*port) == "v2");
    struct stat now {};
    REQUIRE(::lstat(path.c_str(), &now) == 0);
    CHECK(now.st_ino == file.st_ino);
  }
}

// The file of the Unix socket belongs to the workers' user, and is made again by the next program.
TEST_CASE_FIXTURE(Scenario, "workers of another user, and what they have bound, are kept") {
  if (::geteuid() != 0) {
    MESSAGE("needs root: left out");
    return;
  }
  ::chmod(dir.path().c_str(), 0711);
  const auto nobody_runs = [&](const std::string& program) {
    const Words words{"setpriv",        "--reuid", "65534", "--regid", "65534",
                      "--clear-groups", "test",    "-x",    program};
    return run(dir, {words}).status == 0;
  };
  const auto host = std::filesystem::path(liveswap_program()).parent_path() / "liveswap-worker";
  if (!nobody_runs(host)) {
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
  Instance app(*this, dir / "v1", {"--entry", "main", "--user", "nobody"}, {plan});
  const auto before = all_listeners(app);
  const auto workers = app.workers();
  Sessions sessions({tcp.address(), "unix:" + path}, {4, 10, milliseconds(5)});
  REQUIRE(sessions.all_began());
  CHECK(app.run("reexec").status == Exit::ok);
  CHECK(app.workers() == workers);
  CHECK(app.upgrade(dir / "v2").status == Exit::ok);
  CHECK(app.run("reexec").status == Exit::ok);
  check_nothing_lost(sessions);
  CHECK(all_listeners(app) == before);
  for (const pid_t worker : app.workers()) CHECK(proc::status_number(worker, "Uid") == 65534);
  struct stat file {};
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(eventually([&] { return ::lstat(path.c_str(), &file) == 0; }));
  CHECK(file.st_uid == 65534);
  CHECK(contains(http_get("unix:" + path), "v2"));
}

}  // namespace
}  // namespace scenario
