// Clients that send nothing, or read nothing: they cost the master nothing, and do not keep other clients
// out.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int crowd_size = 1'000;
constexpr std::size_t connections_per_door = 64;  // docs/reference/control-protocol.md

bool allow_descriptors(rlim_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < count) return false;
  limit.rlim_cur = std::max(limit.rlim_cur, count);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

std::vector<Connection> crowd_at(const std::string& door, const std::string& first_words) {
  std::vector<Connection> crowd;
  for (int i = 0; i < crowd_size; ++i) {
    crowd.emplace_back(door);
    crowd.back().send(first_words);
  }
  return crowd;
}

TEST_CASE_FIXTURE(Scenario, "1,000 idle connections on each door") {
  // The master starts with the usual limit, and must not need a higher one.
  Instance app(*this, fixture("version_v1"));
  if (!allow_descriptors(2 * crowd_size + 200)) {
    MESSAGE("this user may not open so many descriptors: left out");
    return;
  }
  const auto before = proc::descriptors(app.master().pid()).size();
  const auto silent = crowd_at(local_door(app.site()), "");
  const auto stuck = crowd_at(tcp_door(app.site()), "{\"cmd\":");
  CHECK(app.status()["state"] == "running");
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(app.serves(fixture("version_v2")));
  CHECK(proc::descriptors(app.master().pid()).size() <= before + 2 * connections_per_door + 5);
  Connection late(tcp_door(app.site()));
  late.send(Json{{"cmd", "status"}, {"token", token_of(app.site())}}.dump() + "\n");
  CHECK(answer_of(late)["value"] == "OK");
}

// Sends until the master reads no more for a while, or has closed the connection.
void ask_without_listening(Connection& connection) {
  const timeval patience{2, 0};
  ::setsockopt(connection.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  std::string heap;
  for (int i = 0; i < 1'000; ++i) heap += "{\"cmd\":\"status\"}\n";
  for (int i = 0; i < 100 && connection.send(heap); ++i) {
  }
}

TEST_CASE_FIXTURE(Scenario, "a client that asks and never reads") {
  Instance app(*this, fixture("version_v1"));
  const long before = proc::status_number(app.master().pid(), "VmRSS");
  Connection deaf(local_door(app.site()));
  ask_without_listening(deaf);
  CHECK(app.status()["state"] == "running");
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  if (!sanitized()) CHECK(proc::status_number(app.master().pid(), "VmRSS") - before < 2'000);
  CHECK(deaf.ends());
}

TEST_CASE_FIXTURE(Scenario, "a client that never reads the events of its upgrade") {
  Instance app(*this, fixture("version_v1"), {"--settle", "0ms"});
  Connection deaf(local_door(app.site()));
  for (int i = 0; i < 5; ++i)
    deaf.send(Json{{"cmd", "upgrade"}, {"value", fixture(i % 2 ? "version_v1" : "version_v2")}}.dump() +
              "\n");
  CHECK(eventually([&] { return app.status()["generation"] == 6; }));
  CHECK(app.serves(fixture("version_v2")));
}

}  // namespace
}  // namespace scenario
