// When a worker with its own listeners is ready: at the first start, as a successor, and after a crash.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>

#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const Words as_a_program{"--entry", "main"};
const std::string v1 = BINDER_BUILD "/libbinder_v1.so", v2 = BINDER_BUILD "/libbinder_v2.so";

// The plans of each version: an admin socket that is served at once, and a main port.
class Server {
 public:
  explicit Server(const TempDir& dir) : directory_(dir.directory("plans")) {}
  void plan(const std::string& version, const Words& lines) const {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    write_file(directory_ + "/" + version + ".plan", text);
  }
  std::string admin() const { return "listen unix:" + directory_ + "/admin.sock"; }
  std::string late(int ms) const { return "later " + std::to_string(ms) + " " + main.text(); }
  std::string now() const { return "listen " + main.text(); }
  Words arguments() const { return {directory_}; }
  std::string operator/(const std::string& name) const { return directory_ + "/" + name; }
  const Port main;

 private:
  std::string directory_;
};

bool answers(const std::string& address, const std::string& version) {
  return Connection::attempt(address) && contains(http_get(address), version);
}

bool has_main(const Instance& app, const std::string& address) {
  return eventually([&] { return Connection::attempt(address).has_value(); }) &&
         app.status().value("state", "") == "running";
}

void check_no_failures(Sessions& sessions) {
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  CHECK(sessions.answers() > 0);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "a successor that dies before its last listener is served is no successor") {
  const Server server(dir);
  server.plan("v1", {server.admin(), server.late(60)});
  server.plan("v2", {server.admin(), "die 300"});
  Instance app(*this, v1, as_a_program, server.arguments());
  REQUIRE(has_main(app, server.main.address()));
  Load load(*this, server.main.address(), {"--rate", "200"});
  const auto finished = app.upgrade(v2);
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err,
                         "it did not yet wait on " + server.main.address() + ", which generation 1 serves"),
                finished.err);
  CHECK(app.serves(v1));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario,
                  "20 upgrades of a server whose main port comes late lose no connection, new or kept") {
  const Server server(dir);
  for (const std::string version : {"v1", "v2"}) server.plan(version, {server.admin(), server.late(60)});
  Instance app(*this, v1, as_a_program + Words{"--keepalive", "migrate", "--keepalive-grace", "100ms"},
               server.arguments());
  REQUIRE(has_main(app, server.main.address()));
  Load load(*this, server.main.address(), {"--rate", "200"});
  Sessions kept({server.main.address()}, {.clients = 8, .requests = 0, .pause = milliseconds(20)});
  REQUIRE(kept.all_began());
  for (int i = 1; i <= 20; ++i) {
    const auto finished = app.upgrade(i % 2 ? v2 : v1);
    CHECK_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
  }
  check_no_failures(kept);
  const auto report = load.stop();
  report.check_nothing_lost();
  MESSAGE("20 upgrades, ", report.attempts(), " attempts and ", kept.answers(),
          " on kept connections, 0 failed");
}

TEST_CASE_FIXTURE(
    Scenario, "what new code leaves out on purpose is dropped, and said; the way back waits for it again") {
  const Server server(dir);
  server.plan("v1", {server.admin(), server.late(300)});
  server.plan("v2", {server.admin()});
  Instance app(*this, v1, as_a_program + Words{"--listener-wait", "500ms"}, server.arguments());
  REQUIRE(has_main(app, server.main.address()));
  const auto finished = app.upgrade(v2);
  REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK_MESSAGE(contains(finished.out, "leaves out " + server.main.address()), finished.out);
  CHECK(contains(app.master().err(), "taken for dropped: " + server.main.address()));
  CHECK(Json::parse(app.run("receipt", {"--json"}).out)["dropped"] == Json{server.main.address()});
  CHECK(app.run("rollback").status == Exit::ok);
  CHECK(answers(server.main.address(), "v1"));
}

TEST_CASE_FIXTURE(Scenario,
                  "a listener that new code binds and does not serve ends the upgrade at the ready limit") {
  const Server server(dir);
  server.plan("v1", {server.admin(), server.now()});
  server.plan("v2", {server.admin(), "deaf " + server.main.text()});
  Instance app(*this, v1, as_a_program + Words{"--listener-wait", "100ms", "--ready-limit", "1s"},
               server.arguments());
  Load load(*this, server.main.address(), {"--rate", "200"});
  const auto finished = app.upgrade(v2);
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(
      contains(finished.err, "not ready within 1000 ms; it did not yet wait on " + server.main.address()),
      finished.err);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a start that cannot bind fails, however slow it is, and leaves nothing") {
  const Server server(dir);
  const std::string go = server / "go";
  server.plan("v1", {"wait " + go, server.now()});
  const Port& port = server.main;
  const auto taken = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(taken.get(), 1) == 0);
  const Site site(*this);
  auto master = site.launch("start", as_a_program + Words{v1, "--"} + server.arguments());
  REQUIRE(eventually([&] { return proc::children(master.pid()).size() == 2; }));
  // Much longer than the settle time.
  let_pass(milliseconds(500));
  CHECK(site.status().value("state", "") == "starting");
  write_file(go, "");
  const auto finished = master.wait();
  CHECK(finished.status == Exit::failed);
  CHECK_MESSAGE(contains(finished.err, "it did not yet wait on any listener"), finished.err);
}

TEST_CASE_FIXTURE(Scenario, "one that never listens says so, or is started so; else the message says how") {
  const Server server(dir);
  server.plan("v1", {});
  {
    const Site site(*this);
    const auto finished =
        site.run("start", as_a_program + Words{"--ready-limit", "500ms", v1, "--"} + server.arguments());
    CHECK(finished.status == Exit::failed);
    CHECK(contains(finished.err, "liveswap_ready()"));
    CHECK(contains(finished.err, "--no-await-listener"));
  }
  {
    const Instance app(*this, v1, as_a_program + Words{"--no-await-listener"}, server.arguments());
    CHECK(app.upgrade(v1).status == Exit::ok);
  }
  write_file(server / "go", "");
  server.plan("v1", {"ready " + server / "go"});
  const Instance app(*this, v1, as_a_program, server.arguments());
  CHECK(app.upgrade(v1).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "after a crash a worker serves what its slot served before it is ready") {
  const Server server(dir);
  const std::string go = server / "go";
  server.plan("v1", {server.admin(), server.late(0)});
  Instance app(*this, v1, as_a_program + Words{"--forks", "1"}, server.arguments());
  REQUIRE(has_main(app, server.main.address()));
  server.plan("v1", {server.admin(), server.late(700)});
  REQUIRE(::kill(app.workers().at(0), SIGKILL) == 0);
  CHECK(eventually([&] {
    const auto status = app.status();
    const auto& workers = status["slots"][0]["workers"];
    return workers.size() == 1 && contains(workers[0].value("awaits", ""), server.main.address());
  }));
  CHECK(app.serves(v1));
  CHECK(answers(server.main.address(), "v1"));
}

}  // namespace scenario
