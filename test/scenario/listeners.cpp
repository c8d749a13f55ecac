// Where an instance listens, and what happens when another program listens there.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

using liveswap::UniqueFd;

bool machine_has_ipv6() {
  return contains(read_file("/proc/net/if_inet6"), "00000000000000000000000000000001");
}

UniqueFd bound(const sockaddr* address, socklen_t length) {
  auto fd = UniqueFd::adopt(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), address, length) == 0);
  return fd;
}

UniqueFd listen_on(const Port& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto fd = bound(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  REQUIRE(::listen(fd.get(), 5) == 0);
  return fd;
}

// A socket file with a living or a dead listener.
UniqueFd socket_file(const std::string& path, bool living) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  auto fd = bound(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (living) REQUIRE(::listen(fd.get(), 5) == 0);
  return living ? std::move(fd) : UniqueFd();
}

void serve_everywhere(Scenario& scenario, const char* mode) {
  const Port admin, six;
  const std::string path = "unix:" + (scenario.dir / "app.sock");
  Words options{"--listen-mode", mode, "--listen", "admin=" + admin.address(), "--listen", "local=" + path};
  const std::string six_address = "[::1]:" + six.text();
  if (machine_has_ipv6()) options = options + Words{"--listen", "six=" + six_address};
  else MESSAGE("this machine has no IPv6: left out");
  Instance app(scenario, own_fixture("report"), options, {"admin", "local", "six"});
  for (int generation = 1; generation <= 2; ++generation) {
    const auto expected = [&](const std::string& name) { return "listener=" + name + " slot="; };
    CHECK(contains(http_get(app.address()), expected("0")));
    CHECK(contains(http_get(admin.address()), expected("admin")));
    CHECK(contains(http_get(path), expected("local")));
    if (machine_has_ipv6()) CHECK(contains(http_get(six_address), expected("six")));
    if (generation == 1) CHECK(app.upgrade(own_fixture("report")).status == Exit::ok);
  }
}

TEST_CASE_FIXTURE(Scenario, "several listeners, by name, before and after an upgrade, reuseport") {
  serve_everywhere(*this, "reuseport");
}
TEST_CASE_FIXTURE(Scenario, "several listeners, by name, before and after an upgrade, shared") {
  serve_everywhere(*this, "shared");
}

TEST_CASE_FIXTURE(Scenario, "the kernel chooses port 0, and the status tells it") {
  Instance app(*this, own_fixture("report"), {"--listen", "any=127.0.0.1:0"}, {"any"});
  const auto chosen = app.status()["listeners"][1]["address"].get<std::string>();
  CAPTURE(chosen);
  CHECK_FALSE(chosen.ends_with(":0"));
  CHECK(contains(http_get(chosen), "listener=any"));
}

TEST_CASE_FIXTURE(Scenario, "no listener at all is fine") {
  Site site(*this);
  Process master = site.launch("start", {"--no-await-listener", own_fixture("report")});
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  CHECK(site.run("stop").status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a port in use") {
  const Site site(*this);
  const Port taken;
  const auto holder = listen_on(taken);
  for (const char* mode : {"reuseport", "shared"}) {
    const auto finished =
        site.run("start", {"--listen-mode", mode, "--listen", taken.address(), fixture("version_v1")});
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, taken.address()));
    CHECK(contains(finished.err, "in use"));
  }
}

TEST_CASE_FIXTURE(Scenario, "a port that another instance listens on") {
  Instance app(*this, fixture("version_v1"));
  const Site second(*this, "second");
  const auto finished = second.run("start", {"--listen", app.address(), fixture("version_v2")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, app.address()));
  CHECK(contains(http_get(app.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "an address that this machine does not have") {
  const Site site(*this);
  const auto finished = site.run("start", {"--listen", "192.0.2.1:80", fixture("version_v1")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, "192.0.2.1:80"));
}

TEST_CASE_FIXTURE(Scenario, "the Unix socket of a dead program is taken over") {
  const std::string path = dir / "app.sock";
  socket_file(path, false);
  Instance app(*this, fixture("version_v1"), {"--listen", "first=unix:" + path});
  CHECK(app.status()["listeners"].size() == 2);
}

TEST_CASE_FIXTURE(Scenario, "the Unix sockets of a killed master whose workers have left are taken over") {
  const auto site = std::make_shared<Site>(*this);
  const std::string path = "unix:" + (dir / "app.sock");
  const Words options{"--listen", "local=" + path, "--orphan-wait", "none"};
  {
    Instance app(site, own_fixture("report"), options, {"local"});
    const auto workers = app.children();
    app.master().signal(SIGKILL);
    app.master().wait();
    REQUIRE(eventually([&] { return std::none_of(workers.begin(), workers.end(), proc::runs); }));
  }
  Instance app(site, own_fixture("report"), options, {"local"});
  CHECK(contains(http_get(path), "listener=local"));
}

TEST_CASE_FIXTURE(Scenario, "the Unix socket of a living program is left alone") {
  const std::string path = dir / "app.sock";
  const auto holder = socket_file(path, true);
  const Site site(*this);
  const auto finished = site.run("start", {"--listen", "unix:" + path, fixture("version_v1")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, path));
  CHECK(Connection::attempt("unix:" + path).has_value());
}

TEST_CASE_FIXTURE(Scenario, "the Unix socket of another instance is left alone") {
  const std::string path = "unix:" + (dir / "app.sock");
  Instance app(*this, own_fixture("report"), {"--listen", "local=" + path}, {"local"});
  const Site second(*this, "second");
  const auto finished = second.run("start", {"--listen", path, fixture("version_v2")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, dir / "app.sock"));
  CHECK(contains(http_get(path), "listener=local"));
}

TEST_CASE_FIXTURE(Scenario, "a file that is no socket is left alone") {
  write_file(dir / "precious", "data");
  const Site site(*this);
  const auto finished = site.run("start", {"--listen", "unix:" + (dir / "precious"), fixture("version_v1")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, dir / "precious"));
  CHECK(read_file(dir / "precious") == "data");
}

TEST_CASE_FIXTURE(Scenario, "a Unix socket goes with its master") {
  {
    Instance app(*this, own_fixture("report"), {"--listen", "local=unix:" + (dir / "app.sock")}, {"local"});
    CHECK(::access((dir / "app.sock").c_str(), F_OK) == 0);
  }
  CHECK(::access((dir / "app.sock").c_str(), F_OK) != 0);
}

}  // namespace
}  // namespace scenario
