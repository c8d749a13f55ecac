// The master is killed at every step of an upgrade: HEAD names a proven release, and the next start runs it.
#include <doctest/doctest.h>
#include <signal.h>

#include <memory>
#include <random>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

const Words options{"--settle", "20ms", "--drain-limit", "2s", "--term-grace", "200ms"};

void kill_master(Instance& app) {
  app.master().signal(SIGKILL);
  app.master().wait();
}

// Starts without a target: the start runs what HEAD names, which is one of the two releases.
void expect_committed(const std::shared_ptr<Site>& site) {
  const auto head = read_file(site->head_path());
  const bool old_one = head == fixture("version_v1") + "\n";
  CHECK_MESSAGE((old_one || head == fixture("version_v2") + "\n"), "HEAD: ", head);
  Instance again(site, "", options);
  CHECK(contains(http_get(again.address()), old_one ? "v1" : "v2"));
  const auto status = again.status();
  CHECK(status["release_id"].get<std::string>().size() == 64);
  const auto finished = again.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(http_get(again.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "the master is killed at every event of an upgrade") {
  const std::pair<const char*, int> steps[] = {
      {"preparing", 1}, {"started", 1},  {"spawned", 1},   {"ready", 1},     {"draining", 1}, {"spawned", 2},
      {"ready", 2},     {"draining", 2}, {"probation", 1}, {"committed", 1}, {"leaving", 1},  {"gone", 1}};
  for (const auto& [event, count] : steps) {
    CAPTURE(event);
    CAPTURE(count);
    const auto site = std::make_shared<Site>(*this, std::string(event) + std::to_string(count));
    {
      Instance app(site, fixture("version_v1"), options + Words{"--probation", "100ms"});
      CHECK(upgrade_until(*site, fixture("version_v2"), event, count));
      kill_master(app);
    }
    expect_committed(site);
  }
}

// Writes happen between the events, so the master is killed at random moments, many times.
TEST_CASE_FIXTURE(Scenario, "the master is killed at any moment of an upgrade") {
  std::minstd_rand random(20'261'122);
  std::uniform_int_distribution<int> moment(0, 60);
  for (int i = 0; i < 25; ++i) {
    const milliseconds when{moment(random)};
    CAPTURE(when.count());
    const auto site = std::make_shared<Site>(*this, "moment" + std::to_string(i));
    {
      Instance app(site, fixture("ready_v1"), options);
      Connection client(local_door(*site));
      REQUIRE(client.send(Json{{"cmd", "upgrade"}, {"value", fixture("version_v2")}}.dump() + "\n"));
      let_pass(when);
      kill_master(app);
    }
    const auto head = read_file(site->head_path());
    const bool known = head == fixture("ready_v1") + "\n" || head == fixture("version_v2") + "\n";
    CHECK_MESSAGE(known, "HEAD: ", head);
    Instance again(site, "", options);
    CHECK(again.status()["head"].get<std::string>() + "\n" == head);
    CHECK(contains(http_get(again.address()), head == fixture("ready_v1") + "\n" ? "v1" : "v2"));
  }
}

TEST_CASE_FIXTURE(Scenario, "a restart runs the committed bytes, and says that the path has been rebuilt") {
  const auto site = std::make_shared<Site>(*this);
  const std::string path = dir / "libapp.so";
  write_file(path, read_file(fixture("version_v1")));
  { Instance app(site, path); }
  write_file(path, read_file(fixture("version_v2")));
  Instance again(site, "");
  CHECK(contains(http_get(again.address()), "v1"));
  CHECK(again.master().says("rebuilt since"));
  CHECK(again.run("upgrade").status == Exit::ok);
  CHECK(contains(http_get(again.address()), "v2"));
}

}  // namespace
}  // namespace scenario
