// Requests that a server still has to answer when it is retired from outside: every client gets its answer,
// whatever the server does.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>

#include "support/connection.hpp"
#include "support/file.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

const std::string library = BINDER_BUILD "/libtoiler.so", again = BINDER_BUILD "/libtoiler_again.so";
// Much longer than the grace, and than a tick of the kernel's clock.
constexpr milliseconds long_time{700};

Words short_graces(const Words& more = {}) {
  return Words{"--entry", "main", "--forks", "1", "--keepalive-grace", "100ms"} + more;
}

bool is_answered(Connection& connection, const std::string& request) {
  return connection.send(request + "\n") && connection.read_line() == "done\n";
}

class Toil {
 public:
  Toil(Scenario& scenario, const std::string& mode, const Words& options = {},
       const std::string& argument = "")
      : gate_(scenario.dir / "gate"),
        app_(scenario, library, short_graces(options),
             Words{port_.text(), mode} + (argument.empty() ? Words{} : Words{argument})) {
    std::filesystem::remove(gate_);
  }

  std::string address() const { return port_.address(); }
  Instance& app() { return app_; }
  Connection connect() const { return Connection(port_.address()); }

  // Sends a request that is answered after open(). Within a changed root directory the gate has another name.
  void ask(Connection& connection, const std::string& gate = "") const {
    REQUIRE(connection.send("wait " + (gate.empty() ? gate_ : gate) + "\n"));
  }
  void open() const { write_file(gate_, ""); }

  // Returns when the successor serves and the old worker has drained for a long time.
  void upgrade() {
    old_ = app_.workers().at(0);
    REQUIRE(app_.upgrade(again, {"--detach"}).status == Exit::ok);
    REQUIRE(eventually([&] {
      const auto now = app_.workers();
      return app_.status().value("state", "") == "running" && now.size() == 1 && now[0] != old_;
    }));
    let_pass(long_time);
  }
  pid_t old() const { return old_; }
  bool old_leaves() const {
    return eventually([&] { return !proc::runs(old_); });
  }

 private:
  std::string gate_;
  Port port_;
  Instance app_;
  pid_t old_ = 0;
};

void check_answer_waits_for_gate(Scenario& scenario, const std::string& mode,
                                 const std::string& argument = "", const std::string& gate_there = "") {
  CAPTURE(mode);
  Toil toil(scenario, mode, {}, argument);
  auto connection = toil.connect();
  REQUIRE(is_answered(connection, "now"));
  toil.ask(connection, gate_there);
  toil.upgrade();
  CHECK(proc::runs(toil.old()));
  toil.open();
  CHECK(connection.read_line() == "done\n");
  CHECK(toil.old_leaves());
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "a server that has changed its root directory is drained, too") {
  check_answer_waits_for_gate(*this, "chroot", dir.path(), "/gate");
}

TEST_CASE_FIXTURE(Scenario, "a server without a descriptor left is drained, too") {
  Toil toil(*this, "full", {"--keepalive", "keep"});
  std::vector<Connection> asking;
  for (int i = 0; i < 3; ++i) asking.push_back(toil.connect());
  for (Connection& one : asking) toil.ask(one);
  REQUIRE(eventually([&] { return toil.app().connections() >= asking.size(); }));
  // The connections that find no room wait in the accept queue; the new worker serves them in the end.
  std::vector<Connection> more;
  for (int i = 0; i < 40; ++i) more.push_back(toil.connect());
  toil.upgrade();
  CHECK(proc::runs(toil.old()));
  toil.open();
  for (Connection& one : asking) CHECK(one.read_line() == "done\n");
  for (Connection& one : more) CHECK(is_answered(one, "now"));
  more.clear();
  asking.clear();
  CHECK(toil.old_leaves());
}

TEST_CASE_FIXTURE(Scenario, "the first request of a connection is waited for") {
  for (const std::string keepalive : {"end", "keep", "migrate"}) {
    CAPTURE(keepalive);
    Toil toil(*this, "watch", {"--keepalive", keepalive});
    auto connection = toil.connect();
    toil.ask(connection);
    toil.upgrade();
    toil.open();
    CHECK(connection.read_line() == "done\n");
  }
}

TEST_CASE_FIXTURE(Scenario, "a client that has said its last word gets its answer") {
  for (const std::string keepalive : {"end", "keep", "migrate"}) {
    CAPTURE(keepalive);
    Toil toil(*this, "plain", {"--keepalive", keepalive});
    auto connection = toil.connect();
    toil.ask(connection);
    REQUIRE(::shutdown(connection.fd(), SHUT_WR) == 0);
    toil.upgrade();
    toil.open();
    CHECK(connection.read_line() == "done\n");
    CHECK(toil.old_leaves());
  }
}

// Answer and next request come within a tick of the kernel's clock, which then does not show which was first.
TEST_CASE_FIXTURE(Scenario, "a request that has followed an answer at once is waited for") {
  for (const std::string keepalive : {"end", "migrate"}) {
    CAPTURE(keepalive);
    Toil toil(*this, "watch", {"--keepalive", keepalive});
    std::vector<Connection> all;
    for (int i = 0; i < 8; ++i) {
      all.push_back(toil.connect());
      REQUIRE(is_answered(all.back(), "now"));
      toil.ask(all.back());
    }
    toil.upgrade();
    toil.open();
    for (Connection& one : all) CHECK(one.read_line() == "done\n");
  }
}

TEST_CASE_FIXTURE(Scenario,
                  "an idle connection is not taken for one that waits, however fast its answers were") {
  Toil toil(*this, "plain", {"--drain-limit", "10m"});
  std::vector<Connection> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(toil.connect());
    for (int k = 0; k <= i; ++k) REQUIRE(is_answered(all.back(), "now"));
  }
  toil.upgrade();
  for (Connection& one : all) CHECK(one.ends());
  CHECK(toil.old_leaves());
}

TEST_CASE_FIXTURE(Scenario, "connections go along where no signal is let in") {
  Toil toil(*this, "deaf", {"--keepalive", "migrate"});
  std::vector<Connection> all;
  for (int i = 0; i < 30; ++i) {
    all.push_back(toil.connect());
    REQUIRE(is_answered(all.back(), "now"));
  }
  toil.upgrade();
  for (Connection& one : all) CHECK(is_answered(one, "now"));
  CHECK(toil.old_leaves());
}

TEST_CASE_FIXTURE(Scenario,
                  "when the master dies in the middle of it, the old worker goes on with its connections") {
  Toil toil(*this, "plain", {"--keepalive", "migrate", "--keepalive-grace", "1m", "--orphan-wait", "none"});
  auto connection = toil.connect();
  REQUIRE(is_answered(connection, "now"));
  toil.upgrade();
  const auto workers = toil.app().children();
  REQUIRE(::kill(toil.app().master().pid(), SIGKILL) == 0);
  REQUIRE(eventually([&] { return !proc::runs(toil.app().master().pid()); }));
  for (int i = 0; i < 3; ++i) CHECK(is_answered(connection, "now"));
  for (const pid_t pid : workers) ::kill(pid, SIGKILL);
  for (const pid_t pid : workers) CHECK(eventually([&] { return !proc::runs(pid); }));
}

TEST_CASE_FIXTURE(Scenario, "clients that a server binds are no listeners") {
  Toil other(*this, "plain");
  const std::string port = other.address().substr(other.address().rfind(':') + 1);
  Toil toil(*this, "clients", {}, port);
  auto connection = toil.connect();
  CHECK(is_answered(connection, "now"));
}

}  // namespace scenario
