// A service of a service manager is re-executed (support/service_manager.hpp plays systemd).
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "support/built.hpp"
#include "support/connection.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/service.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

// A program in the place of liveswap, which reads the state and cannot go on with it: it has no worker host
// beside it.
std::string failing_program(const Scenario& scenario) {
  const std::string copy = scenario.dir / "liveswap-alone", path = scenario.dir / "failing";
  std::filesystem::copy_file(liveswap_program(), copy);
  write_file(path, "#!/bin/sh\n[ \"$1\" = --read-state ] && exec " + liveswap_program() + " \"$@\"\nexec " +
                       copy + " \"$@\"\n");
  ::chmod(path.c_str(), 0755);
  return path;
}

TEST_CASE_FIXTURE(Scenario, "a re-execution is a reload; the store, the watchdog and the main process stay") {
  ServiceManager manager(*this);
  manager.environment["WATCHDOG_USEC"] = "1000000";
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("version_v1")}));
  service.wait_ready();
  CHECK(eventually([&] { return manager.stored() == Words{"web#0", "web#1"}; }));
  const auto main = service.process().pid();
  const auto round = [&](const Words& words, int status) {
    manager.forget();
    CHECK(site->run("reexec", words).status == status);
    REQUIRE(manager.says("READY=1"));
    CHECK(manager.values("RELOADING").size() == 1);
    CHECK(manager.values("READY").size() == 1);
    CHECK(manager.values("MONOTONIC_USEC").size() == 1);
    CHECK(manager.values("MAINPID") == Words{std::to_string(main)});
    const auto order = manager.order();
    const auto begin = std::find(order.begin(), order.end(), "RELOADING");
    const auto end = std::find(order.begin(), order.end(), "READY");
    CHECK(begin < end);
    // Right before and right after.
    CHECK(std::find(begin, end, "WATCHDOG") != end);
    CHECK(eventually([&] { return manager.values("WATCHDOG").size() >= 4; }));
    // What the store has need not be sent again.
    CHECK(manager.values("FDSTORE").empty());
    CHECK(manager.values("FDSTOREREMOVE").empty());
    CHECK(manager.stored() == Words{"web#0", "web#1"});
    CHECK(contains(manager.last("STATUS"), "2 of 2 slots ready"));
    CHECK(contains(http_get(site->address()), "v1"));
  };
  round({}, Exit::ok);
  round({}, Exit::ok);
  round({"--binary", failing_program(*this)}, Exit::failed);
  CHECK(manager.main_pid() == main);
  CHECK(manager.foreign() == 0);
  for (const pid_t worker : proc::children(main))
    for (const auto& entry : proc::environment(worker)) CHECK_FALSE(entry.starts_with("NOTIFY_SOCKET="));
  // The store is brought up to date by the next program.
  CHECK(site->run("forks", {"3"}).status == Exit::ok);
  CHECK(eventually([&] { return manager.stored() == Words{"web#0", "web#1", "web#2"}; }));
  CHECK(site->run("reexec").status == Exit::ok);
  CHECK(site->run("forks", {"1"}).status == Exit::ok);
  CHECK(eventually([&] { return manager.stored() == Words{"web#0"}; }));
  Load load(*this, site->address(), {"--rate", "100"});
  service.restart();
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a re-execution that is refused begins no reload") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  Service service(site, manager, listening(*site, {fixture("version_v1")}));
  service.wait_ready();
  manager.forget();
  CHECK(site->run("reexec", {"--binary", "/bin/false"}).status == Exit::failed);
  CHECK(site->run("reexec", {"--binary", dir / "nowhere"}).status == Exit::refused);
  CHECK(manager.values("RELOADING").empty());
}

// The application serves the first listener alone.
TEST_CASE_FIXTURE(Scenario, "the socket of a socket unit goes on after a re-execution") {
  for (const std::string& address : {std::string(), "unix:" + (dir / "app.sock")}) {
    CAPTURE(address);
    ServiceManager manager(*this);
    const auto site = std::make_shared<Site>(*this, address.empty() ? "tcp" : "unix");
    const auto where = address.empty() ? site->address() : address;
    manager.passed.push_back(
        {"web", address.empty() ? listen_at(where) : listen_at_path(where.substr(std::strlen("unix:")))});
    Service service(site, manager, {"--settle", "20ms", fixture("version_v1")});
    service.wait_ready();
    std::optional<Load> load;
    if (address.empty()) load.emplace(*this, where, Words{"--rate", "100"});
    CHECK(site->run("reexec").status == Exit::ok);
    CHECK(site->run("upgrade", {fixture("version_v2")}).status == Exit::ok);
    CHECK(site->run("reexec").status == Exit::ok);
    CHECK(contains(http_get(where), "v2"));
    CHECK(site->run("upgrade", {"--flip", fixture("version_v1")}).status != Exit::ok);
    CHECK(manager.stored().empty());
    service.restart();
    CHECK(contains(http_get(where), "v2"));
    if (load) load->stop().check_nothing_lost();
  }
}

// After a start with fewer slots, sockets are left over.
TEST_CASE_FIXTURE(Scenario, "sockets from the descriptor store go on after a re-execution") {
  ServiceManager manager(*this);
  const auto site = std::make_shared<Site>(*this);
  const auto words = [&](const char* forks) {
    return listening(*site,
                     {fixture("version_v1"), "--forks", forks, "--listen", "unix:" + (dir / "own.sock")});
  };
  {
    Service service(site, manager, words("4"));
    service.wait_ready();
    CHECK(eventually([&] { return manager.stored().size() == 5; }));
    CHECK(site->run("reexec").status == Exit::ok);
  }
  manager.forget();
  Service service(site, manager, words("2"));
  service.wait_ready();
  Load load(*this, site->address(), {"--rate", "100"});
  CHECK(site->run("reexec").status == Exit::ok);
  CHECK(manager.stored().size() == 5);
  CHECK(site->run("upgrade", {fixture("version_v2")}).status == Exit::ok);
  CHECK(site->run("reexec").status == Exit::ok);
  // The sockets that were left over.
  CHECK(site->run("forks", {"4"}).status == Exit::ok);
  CHECK(manager.stored().size() == 5);
  load.stop().check_nothing_lost();
  // One client: what waits in more sockets than the new master has slots is reset.
  Sessions sessions({site->address()}, {.clients = 1, .requests = 1, .pause = milliseconds(1)});
  REQUIRE(sessions.all_began());
  service.restart();
  CHECK(sessions.stop().empty());
  CHECK(contains(http_get(site->address()), "v2"));
  CHECK(manager.stored().size() == 5);
}

}  // namespace
}  // namespace scenario
