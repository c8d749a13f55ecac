// The master lacks memory, or descriptors, for a while: the workers still serve, the log says so, and later
// the master accepts commands again.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <vector>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

// Limits the master's address space to its current size.
void take_memory(pid_t pid) {
  const auto now = static_cast<rlim_t>(proc::status_number(pid, "VmSize")) * 1024;
  const rlimit limit{now, RLIM_INFINITY};
  REQUIRE(::prlimit(pid, RLIMIT_AS, &limit, nullptr) == 0);
}

void give_memory(pid_t pid) {
  const rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  REQUIRE(::prlimit(pid, RLIMIT_AS, &limit, nullptr) == 0);
}

TEST_CASE_FIXTURE(Scenario, "a master without memory serves, refuses commands, and recovers") {
  Instance app(*this, fixture("version_v1"), {"--settle", "20ms"});
  const pid_t master = app.master().pid();
  for (int round = 0; round < 3; ++round) {
    take_memory(master);
    // Clients that send much without a newline use up the allocator's free memory.
    std::vector<Connection> clients;
    for (int i = 0; i < 64; ++i) {
      auto client = Connection::attempt("unix:" + app.site().control_socket());
      if (!client) break;
      client->send(std::string(60'000, ' '));
      clients.push_back(std::move(*client));
    }
    const bool is_refused = eventually([&] {
      auto client = Connection::attempt("unix:" + app.site().control_socket());
      return client && contains(client->read_line(milliseconds(200)),
                                "the master has no memory for a command now: try again");
    });
    CHECK(is_refused);
    // A successor cannot start now, but later.
    const auto died = app.children();
    REQUIRE_FALSE(died.empty());
    ::kill(died.front(), SIGKILL);
    clients.clear();
    give_memory(master);
    CHECK(eventually([&] { return app.run("status").status == Exit::ok; }));
    CHECK(app.serves(fixture(round % 2 == 0 ? "version_v1" : "version_v2")));
    const auto finished = app.upgrade(fixture(round % 2 == 0 ? "version_v2" : "version_v1"));
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  }
  CHECK(eventually([&] { return app.children().size() == 2; }));
}

// Sets a limit that leaves so many descriptors.
void leave_descriptors(pid_t pid, rlim_t count) {
  rlimit now{};
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, nullptr, &now) == 0);
  now.rlim_cur = static_cast<rlim_t>(proc::descriptors(pid).rbegin()->first) + 1 + count;
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &now, nullptr) == 0);
}

void give_descriptors(pid_t pid) {
  rlimit now{};
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, nullptr, &now) == 0);
  now.rlim_cur = now.rlim_max;
  REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &now, nullptr) == 0);
}

TEST_CASE_FIXTURE(Scenario, "clients that take the last descriptor of a master lock nobody out") {
  Instance app(*this, fixture("version_v1"), {"--settle", "20ms"});
  const pid_t master = app.master().pid();
  leave_descriptors(master, 3);
  std::vector<Connection> idle;
  for (int i = 0; i < 40; ++i) {
    auto client = Connection::attempt("unix:" + app.site().control_socket());
    if (client) idle.push_back(std::move(*client));
  }
  for (int i = 0; i < 5; ++i) CHECK(app.run("status").status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v1"));
  give_descriptors(master);
  CHECK(app.run("status").status == Exit::ok);
  CHECK(app.serves(fixture("version_v1")));
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
}

}  // namespace
}  // namespace scenario
