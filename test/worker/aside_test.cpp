// The control thread steps aside, into a table of descriptors of its own, and comes back when it is needed (src/worker/aside.h).
#include <doctest/doctest.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "application.hpp"

using namespace liveswap::test;
using namespace std::chrono_literals;

namespace {

// Whether every thread of the process has the descriptors of the first.
bool shares(pid_t pid) {
  for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    const int thread = std::stoi(each.path().filename());
    if (syscall(SYS_kcmp, pid, thread, KCMP_FILES, 0, 0) != 0) return false;
  }
  return true;
}

bool steps_aside(pid_t pid) {
  for (int i = 0; i < 2'000; ++i) {
    if (!shares(pid)) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

// For three times as long as it would take.
bool stays(pid_t pid) {
  for (int i = 0; i < 300; ++i) {
    if (!shares(pid)) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

void check_counts(Application& application, std::uint64_t connections) {
  application.worker().send(LIVESWAP_COUNT, 1);
  CHECK(application.await(LIVESWAP_COUNTED).count == connections);
}

}  // namespace

TEST_CASE("the control thread of an event loop steps aside, and comes back for every order") {
  for (const std::string what : {"epoll", "poll", "selecting"}) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_READY);
    const pid_t pid = application.worker().pid();
    application.check_serves();
    for (int i = 0; i < 2; ++i) {
      REQUIRE(steps_aside(pid));
      application.check_serves();
      check_counts(application, 0);
      CHECK(shares(pid));
    }
    REQUIRE(steps_aside(pid));
    application.check_drains();
  }
}

TEST_CASE("it stays where nobody could let it in again, or nothing would be gained") {
  for (const std::string what : {"one-by-one", "another-thread", "no-signals"}) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_READY);
    application.check_serves();
    CHECK(stays(application.worker().pid()));
    application.check_drains();
  }
}

// It may be in recv() when the order comes, which is no gate.
TEST_CASE("who reads from a connection without waiting for others keeps its control thread") {
  Application application("in-turn");
  application.await(LIVESWAP_READY);
  const auto connection = connect_to(application.listener());
  char answer[2];
  REQUIRE(read(connection.get(), answer, sizeof answer) == 2);
  CHECK(stays(application.worker().pid()));
  check_counts(application, 1);
}

TEST_CASE("a worker that binds while it is aside gets its answer") {
  Application application("elsewhere", {}, Application::free_port(), {Application::free_port()});
  application.await(LIVESWAP_READY);
  const auto connection = connect_to(application.listener());
  REQUIRE(steps_aside(application.worker().pid()));
  REQUIRE(write(connection.get(), "x", 1) == 1);
  CHECK(read_all(connection.get()) == "ok");
  application.await(LIVESWAP_LISTEN);
  CHECK(shares(application.worker().pid()));
  application.check_serves();
  application.check_drains();
}

TEST_CASE("the end of the master is noticed aside") {
  for (const std::string what : {"epoll", "poll"}) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_READY);
    application.check_serves();
    REQUIRE(steps_aside(application.worker().pid()));
    application.worker().abandon();
    CHECK(application.worker().wait().number == 0);
  }
}
