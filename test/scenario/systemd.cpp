// The protocol of a service manager: messages to it, sockets from it, and its descriptor store. The tests
// play systemd (support/service_manager.hpp).
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/service.hpp"

namespace scenario {
namespace {

// A notify socket that nobody reads, and whose queue is full.
liveswap::UniqueFd full_queue(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  auto reader = liveswap::UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(reader.get(), where, sizeof address) == 0);
  const auto writer = liveswap::UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  while (::sendto(writer.get(), "", 1, 0, where, sizeof address) == 1) continue;
  return reader;
}

const std::string request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

// Whether the connection is answered by that version.
bool is_answered(Connection& client, const std::string& version) {
  for (;;) {
    const auto line = client.read_line();
    if (line.empty() || line == version + "\n") return !line.empty();
  }
}

TEST_CASE_FIXTURE(Scenario, "READY=1 and MAINPID come when every slot is ready, and not before") {
  for (const bool abstract : {false, true}) {
    ServiceManager manager(*this, abstract);
    const auto site = std::make_shared<Site>(*this, abstract ? "abstract" : "path");
    Service service(site, manager, listening(*site, {fixture("version_v1"), "--forks", "3"}));
    service.wait_ready();
    CHECK(manager.values("MAINPID") == Words{std::to_string(service.process().pid())});
    CHECK(contains(manager.last("STATUS"), "running " + fixture("version_v1")));
    CHECK(contains(manager.last("STATUS"), "generation 1: 3 of 3 slots ready"));
    CHECK(contains(http_get(site->address()), "v1"));
    service.stop();
    CHECK(manager.order().back() != "READY");
    CHECK(manager.values("READY").size() == 1);
    CHECK(manager.values("STOPPING") == Words{"1"});
    CHECK(contains(manager.last("STATUS"), "stopping"));
    CHECK(manager.foreign() == 0);
  }
}

TEST_CASE_FIXTURE(Scenario, "a start that fails is never ready") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("missing_library")}));
  CHECK(service.process().wait().status != Exit::ok);
  CHECK(manager.values("READY").empty());
}

TEST_CASE_FIXTURE(Scenario, "an upgrade is a reload: RELOADING=1 with the time, then READY=1") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("version_v1")}));
  service.wait_ready();
  const auto round = [&](const std::string& library, int status) {
    manager.forget();
    CHECK(site->run("upgrade", {library}).status == status);
    REQUIRE(manager.says("READY=1"));
    const auto order = manager.order();
    const auto begin = std::find(order.begin(), order.end(), "RELOADING");
    const auto end = std::find(order.begin(), order.end(), "READY");
    REQUIRE(begin != order.end());
    CHECK(*(begin + 1) == "MONOTONIC_USEC");
    CHECK(begin < end);
    CHECK(manager.values("RELOADING").size() == 1);
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const long long told = std::stoll(manager.last("MONOTONIC_USEC"));
    const long long usec = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
    CHECK(told <= usec);
    CHECK(told > usec - 60'000'000LL);
  };
  round(fixture("version_v2"), Exit::ok);
  CHECK(contains(manager.last("STATUS"), "generation 2: 2 of 2 slots ready"));
  const auto texts = manager.values("STATUS");
  CHECK(
      std::any_of(texts.begin(), texts.end(), [](const auto& text) { return contains(text, "upgrading"); }));
  // Also an upgrade that is refused or reverted ends.
  round(own_fixture("talker_abort"), Exit::reverted);
  CHECK(contains(manager.last("STATUS"), "generation 2: 2 of 2 slots ready"));
}

TEST_CASE_FIXTURE(Scenario, "a SIGHUP that changes nothing begins and ends a reload too") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  const auto library = dir / "app.so";
  write_file(library, read_file(fixture("version_v1")));
  Service service(site, manager, listening(*site, {library}));
  service.wait_ready();
  manager.forget();
  REQUIRE(::unlink(library.c_str()) == 0);
  service.process().signal(SIGHUP);
  REQUIRE(manager.says("RELOADING=1"));
  REQUIRE(manager.says("READY=1"));
  CHECK(contains(http_get(site->address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "WATCHDOG=1 comes in half of the interval, if it is meant for the master") {
  ServiceManager manager(*this);
  manager.environment["WATCHDOG_USEC"] = "200000";
  const auto site = std::make_shared<Site>(*this);
  {
    Service service(site, manager, listening(*site, {fixture("version_v1")}));
    service.wait_ready();
    const auto begin = Clock::now();
    const auto before = manager.values("WATCHDOG").size();
    CHECK(eventually([&] { return manager.values("WATCHDOG").size() >= before + 10; }));
    CHECK(Clock::now() - begin >= milliseconds(800));
  }
  manager.environment["WATCHDOG_PID"] = "1";
  manager.forget();
  Service service(site, manager, listening(*site, {}));
  service.wait_ready();
  let_pass(milliseconds(500));
  CHECK(manager.values("WATCHDOG").empty());
}

TEST_CASE_FIXTURE(Scenario, "a long drain asks for more time until it has ended") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("version_v1")}));
  service.wait_ready();
  CHECK(!manager.values("EXTEND_TIMEOUT_USEC").empty());  // of the start
  manager.forget();
  Connection client(site->address());
  client.send("GET /slow HTTP/1.1\r\nHost: test\r\n\r\n");
  let_pass(milliseconds(100));
  service.process().signal(SIGTERM);
  REQUIRE(manager.says("STOPPING=1"));
  CHECK(manager.says("EXTEND_TIMEOUT_USEC=30000000"));
  CHECK(eventually([&] { return contains(manager.last("STATUS"), "drain"); }));
  CHECK(contains(client.read_all(), "v1\n"));
  CHECK(service.process().wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "workers get no variable of the service manager") {
  ServiceManager manager(*this);
  manager.environment["WATCHDOG_USEC"] = "10000000";
  manager.environment["FDSTORE"] = "64";
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("version_v1")}));
  service.wait_ready();
  const auto workers = proc::children(service.process().pid());
  REQUIRE(!workers.empty());
  for (const pid_t worker : workers)
    for (const auto& entry : proc::environment(worker))
      for (const char* name : {"NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_", "FDSTORE="})
        CHECK_FALSE(entry.starts_with(name));
}

TEST_CASE_FIXTURE(Scenario, "with --daemon the manager learns the pid of the master") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  manager.passed.push_back({"web", listen_at(site->address())});
  Process starter = manager.start(*site, {"--daemon", fixture("version_v1")});
  REQUIRE(manager.says("READY=1"));
  CHECK(starter.wait().status == Exit::ok);
  const auto master = site->status()["pid"].get<pid_t>();
  CHECK(manager.main_pid() == master);
  CHECK(manager.foreign() == 0);
  CHECK(contains(http_get(site->address()), "v1"));
  CHECK(site->run("stop").status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a manager that reads nothing, or has gone, hinders no master") {
  const auto site = std::make_shared<Site>(*this);
  const auto full = full_queue(dir / "full");
  for (const std::string& address : {dir / "full", dir / "nobody", std::string("relative")}) {
    site->environment["NOTIFY_SOCKET"] = address;
    Instance app(site, fixture("version_v1"));
    for (const char* version : {"version_v2", "version_v1", "version_v2"})
      CHECK(app.upgrade(fixture(version)).status == Exit::ok);
    CHECK(contains(http_get(app.address()), "v2"));
    CHECK(app.upgrade(fixture("version_v1")).status == Exit::ok);
  }
}

TEST_CASE_FIXTURE(Scenario, "socket activation: connections that waited before the start are answered") {
  for (const bool named : {false, true}) {
    ServiceManager manager(*this);
    const auto site = std::make_shared<Site>(*this, named ? "named" : "unnamed");
    manager.passed.push_back({named ? "web" : "unknown", listen_at(site->address())});
    std::vector<Connection> waiting;
    for (int i = 0; i < 50; ++i) {
      waiting.emplace_back(site->address());
      REQUIRE(waiting.back().send(request));
    }
    const Words words = named ? listening(*site, {fixture("version_v1")}) : Words{fixture("version_v1")};
    Service service(site, manager, words);
    for (auto& client : waiting) CHECK(is_answered(client, "v1"));
    service.wait_ready();
    const auto listeners = site->status()["listeners"];
    REQUIRE(listeners.size() == 1);
    CHECK(listeners[0]["address"] == site->address());
    CHECK(listeners[0]["name"] == (named ? "web" : "0"));
    CHECK(manager.stored().empty());
    // Left open: the next start finds what came in between.
    CHECK(site->run("upgrade", {fixture("version_v2")}).status == Exit::ok);
    CHECK(service.stop().status == Exit::ok);
    Connection between(site->address());
    REQUIRE(between.send(request));
    manager.forget();
    service.start_again();
    CHECK(is_answered(between, "v2"));
    service.wait_ready();
  }
}

TEST_CASE_FIXTURE(Scenario, "socket activation: a Unix socket, beside a listener that the master binds") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  const auto path = dir / "app.sock";
  manager.passed.push_back({"admin", listen_at_path(path)});
  Service service(site, manager, listening(*site, {"--listen", "admin=unix:" + path, fixture("version_v1")}));
  service.wait_ready();
  CHECK(contains(http_get(site->address()), "v1"));
  CHECK(site->status()["listeners"].size() == 2);
  CHECK(service.stop().status == Exit::ok);
  struct stat info {};
  CHECK(::stat(path.c_str(), &info) == 0);
}

TEST_CASE_FIXTURE(Scenario, "socket activation: what does not fit is said") {
  const auto site = std::make_shared<Site>(*this);
  const Port other;
  const auto refused = [&](ServiceManager::Passed passed, const Words& words) {
    ServiceManager manager(*this, true);
    manager.passed.push_back(std::move(passed));
    Process service = manager.start(*site, words);
    const auto finished = service.wait();
    CHECK(finished.status == Exit::failed);
    return finished.err;
  };
  const auto text = refused({"web", listen_at(other.address())}, listening(*site, {fixture("version_v1")}));
  CHECK(contains(text, "passed a socket at " + other.address()));
  CHECK(contains(text, "--listen says " + site->address()));
  CHECK(contains(refused({"log", liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))},
                         {fixture("version_v1")}),
                 "a datagram socket (named \"log\")"));
  CHECK(contains(refused({"file", liveswap::UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC))},
                         {fixture("version_v1")}),
                 "no socket"));
}

TEST_CASE_FIXTURE(Scenario, "a flip of a socket that was passed fails, and an ordinary upgrade goes on") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  manager.passed.push_back({"web", listen_at(site->address())});
  Service service(site, manager, {fixture("version_v1")});
  service.wait_ready();
  const auto flip = site->run("upgrade", {"--flip", fixture("version_v2")});
  CHECK(flip.status != Exit::ok);
  CHECK(contains(flip.err, "the service manager has bound the socket"));
  CHECK(contains(http_get(site->address()), "v1"));
  CHECK(site->run("upgrade", {fixture("version_v2")}).status == Exit::ok);
  CHECK(contains(http_get(site->address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "a restart through the descriptor store loses no connection") {
  for (const Words& mode : {Words{}, Words{"--listen-mode", "shared"}}) {
    ServiceManager manager(*this, true);
    const auto site = std::make_shared<Site>(*this, mode.empty() ? "reuseport" : "shared");
    Service service(site, manager, listening(*site, mode + Words{fixture("version_v1"), "--forks", "3"}));
    service.wait_ready();
    const Words names = mode.empty() ? Words{"web#0", "web#1", "web#2"} : Words{"web#0"};
    CHECK(eventually([&] { return manager.stored() == names; }));
    Load load(*this, site->address(), {"--rate", "100"});
    for (int i = 0; i < 5; ++i) service.restart();
    CHECK(site->run("upgrade", {"--flip", fixture("version_v2")}).status == Exit::ok);
    CHECK(eventually([&] { return manager.stored().size() == 2 * names.size(); }));
    for (int i = 0; i < 3; ++i) service.restart();
    const auto report = load.stop();
    report.check_nothing_lost();
    CHECK(manager.stored().size() == 2 * names.size());
    CHECK(contains(http_get(site->address()), "v2"));
  }
}

TEST_CASE_FIXTURE(Scenario, "listeners that go leave the store, and a changed address is bound anew") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  const auto path = dir / "app.sock";
  const Words two = listening(*site, {"--listen", "admin=unix:" + path, fixture("version_v1")});
  {
    Service service(site, manager, two);
    service.wait_ready();
    CHECK(eventually([&] { return manager.stored() == Words{"admin#0", "web#0", "web#1"}; }));
    service.restart();
    CHECK(manager.stored() == Words{"admin#0", "web#0", "web#1"});
    // The slots that come and go.
    CHECK(site->run("forks", {"3"}).status == Exit::ok);
    CHECK(eventually([&] { return manager.stored().size() == 4; }));
    CHECK(site->run("forks", {"1"}).status == Exit::ok);
    CHECK(eventually([&] { return manager.stored() == Words{"admin#0", "web#0"}; }));
  }
  struct stat info {};
  CHECK(::stat(path.c_str(), &info) == 0);
  const Port other;
  manager.forget();
  Service service(site, manager, {"--listen", "web=" + other.address(), fixture("version_v1")});
  service.wait_ready();
  CHECK(contains(http_get(other.address()), "v1"));
  CHECK(eventually([&] { return manager.stored() == Words{"web#0", "web#1"}; }));
  CHECK_FALSE(Connection::attempt(site->address()));
}

TEST_CASE_FIXTURE(Scenario, "a Unix listener goes on at its path after a restart") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  const auto path = dir / "app.sock";
  const auto address = "unix:" + path;
  Service service(site, manager, {"--listen", "web=" + address, fixture("version_v1")});
  service.wait_ready();
  CHECK(eventually([&] { return manager.stored() == Words{"web#0"}; }));
  CHECK(service.stop().status == Exit::ok);
  Connection between(address);
  REQUIRE(between.send(request));
  manager.forget();
  service.start_again();
  CHECK(is_answered(between, "v1"));
  service.wait_ready();
  // Without its file, the socket in the store reaches nobody: another takes its place.
  CHECK(service.stop().status == Exit::ok);
  REQUIRE(::unlink(path.c_str()) == 0);
  ::unlink((dir / ".app.sock.liveswap").c_str());
  manager.forget();
  service.start_again();
  service.wait_ready();
  CHECK(contains(http_get(address), "v1"));
  CHECK(eventually([&] { return manager.stored() == Words{"web#0"}; }));
  service.restart();
  CHECK(contains(http_get(address), "v1"));
}

}  // namespace
}  // namespace scenario
