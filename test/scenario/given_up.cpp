// Workers that close their lent listener without having been told to drain.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

// Makes 24 connections, so that each slot gets some.
void check_all_answered(const Instance& app) {
  for (int i = 0; i < 24; ++i) CHECK(contains(http_get(app.address()), "v1"));
}

bool is_replaced(const Instance& app, const std::vector<pid_t>& before) {
  const auto now = app.workers();
  return now.size() == before.size() && now != before;
}

TEST_CASE_FIXTURE(Scenario,
                  "a worker that closes the lent listener is replaced, and the failure names both") {
  for (const std::string way : {"/shutdown", "/close", "/close_range"}) {
    CAPTURE(way);
    Instance app(*this, own_fixture("giver_up"));
    const auto before = app.workers();
    CHECK(contains(http_get(app.address(), way), "v1"));
    REQUIRE(eventually([&] { return is_replaced(app, before); }));
    CHECK(app.serves(own_fixture("giver_up")));
    check_all_answered(app);
    const std::string said =
        "stage run: it has closed the listener 0, or shut it down, without having been told to drain";
    CHECK(contains(app.master().err(), said));
    CHECK(contains(app.status().dump(), said));
  }
}

// The worker host does not see this close(). The master finds waiting connections, and a worker without the
// socket.
TEST_CASE_FIXTURE(Scenario,
                  "a worker that closes the lent listener by a system call of its own is replaced") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    Instance app(*this, own_fixture("giver_up"), {"--forks", "1", "--listen-mode", mode});
    const auto before = app.workers();
    CHECK(contains(http_get(app.address(), "/raw_close"), "v1"));
    check_all_answered(app);  // the next worker answers the first of them
    CHECK(app.workers() != before);
    CHECK(contains(app.master().err(), "connections wait at the listener 0, and it has closed that"));
  }
}

TEST_CASE_FIXTURE(Scenario,
                  "a lent listener that a worker shuts down by a system call of its own listens again") {
  Instance app(*this, own_fixture("giver_up"), {"--forks", "1"});
  const auto before = app.workers();
  CHECK(contains(http_get(app.address(), "/raw_shutdown"), "v1"));
  REQUIRE(eventually([&] { return Connection::attempt(app.address()).has_value(); }));
  check_all_answered(app);
  CHECK(app.workers() == before);
  CHECK(contains(app.master().err(), "has shut the shared socket down; listening again"));
}

// The worker is slow, but has the listener: waiting connections are no failure.
TEST_CASE_FIXTURE(Scenario, "a worker that is busy for seconds is left alone") {
  Instance app(*this, own_fixture("one_by_one"), {"--forks", "1"});
  const auto before = app.workers();
  std::vector<Connection> clients;
  for (int i = 0; i < 30; ++i) {
    clients.emplace_back(app.address());
    clients.back().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  for (auto& client : clients) CHECK(contains(client.read_line(), "200"));
  CHECK(app.workers() == before);
}

TEST_CASE_FIXTURE(Scenario, "a worker that closes the lent listener in probation has failed the upgrade") {
  Instance app(*this, fixture("version_v1"));
  Process upgrade = app.site().launch("upgrade", {"--probation", "60s", own_fixture("giver_up")});
  REQUIRE(eventually([&] { return contains(app.master().err(), "in probation"); }));
  CHECK(contains(http_get(app.address(), "/close"), "v1"));
  const auto finished = upgrade.wait();
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "it has closed the listener 0"));
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "a worker that goes on with a copy of the lent listener is left alone") {
  Instance app(*this, own_fixture("giver_up"), {"--forks", "1"});
  const auto before = app.workers();
  CHECK(contains(http_get(app.address(), "/dup"), "v1"));
  let_pass(milliseconds(1'000));
  CHECK(app.workers() == before);
  check_all_answered(app);
  CHECK_FALSE(contains(app.master().err(), "closed the listener"));
}

}  // namespace
}  // namespace scenario
