// The control thread exits when idle, and comes back at a safe point (src/worker/control/parking.h).
#include <doctest/doctest.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "application.hpp"

using namespace liveswap::test;
using namespace std::chrono_literals;

namespace {

long threads_of(pid_t pid) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/task");
  return std::distance(begin(all), end(all));
}

bool comes_to(pid_t pid, long threads) {
  for (int i = 0; i < 2'000; ++i) {
    if (threads_of(pid) == threads) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

// For three times as long as it would take to change.
bool stays_at(pid_t pid, long threads) {
  for (int i = 0; i < 300; ++i) {
    if (threads_of(pid) != threads) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// The kernel shows the first thread in recv().
bool comes_to_recv(pid_t pid) {
  for (int i = 0; i < 2'000; ++i) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
    long call = -1;
    if (file >> call && call == SYS_recvfrom) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

// Many containers forbid them.
bool have_rings() {
  io_uring_params ring{};
  const long fd = syscall(SYS_io_uring_setup, 1, &ring);
  if (fd < 0) MESSAGE("no io_uring here");
  return fd >= 0 && close(static_cast<int>(fd)) == 0;
}

void check_counts(Application& application, std::uint64_t connections) {
  application.worker().send(LIVESWAP_COUNT, 1);
  CHECK(application.await(LIVESWAP_COUNTED).count == connections);
}

// Which takes the control thread.
void check_takes_message(Application& application) {
  application.worker().send(LIVESWAP_MESSAGE, 7, "a word");
  CHECK(application.await(LIVESWAP_TAKEN).value == 7);
}

const std::vector<std::string> loops = {"epoll", "poll", "selecting"};

const std::vector<std::string> waits = {"poll",       "ppoll",       "select",      "pselect",
                                        "epoll_wait", "epoll_pwait", "epoll_pwait2"};

// One that has been ready and idle for long enough: its control thread is parked.
struct Parked : Application {
  explicit Parked(const std::string& what, const std::vector<std::string>& arguments = {},
                  const Limits& limits = {"10000", "1000"})
      : Application(what, {}, free_port(), arguments, limits) {
    await(LIVESWAP_WAITS);
    check_serves();  // shows that it is an event loop
    REQUIRE(is_parked());
  }

  bool is_parked() { return comes_to(worker().pid(), 1); }
};

}  // namespace

TEST_CASE("a server of one thread is one when it is ready and the control thread is idle") {
  for (const std::string& what : loops) {
    CAPTURE(what);
    Parked application(what);
    for (int i = 0; i < 3; ++i) {
      application.check_serves();
      CHECK(threads_of(application.worker().pid()) == 1);
    }
    application.check_drains();
  }
}

// Each of these applications ends when a wait of its own is interrupted.
TEST_CASE("a parked control thread comes for the master out of each wait, which goes on unnoticed") {
  for (const std::string& call : waits) {
    CAPTURE(call);
    Parked application("waits", {call});
    for (int i = 0; i < 2; ++i) {
      check_counts(application, 0);
      application.check_serves();
      CHECK(application.is_parked());
    }
    check_takes_message(application);
    CHECK(application.is_parked());
    application.check_drains();
  }
}

TEST_CASE("a parked control thread comes out of an accept() in which the worker host waits") {
  Parked application("limited-accept");
  check_counts(application, 0);
  check_takes_message(application);
  application.check_serves();
  CHECK(application.is_parked());
  application.check_drains();
}

TEST_CASE("an application that is in recv() is reached at its next safe point") {
  Parked application("changes", {"recv"});
  const auto connection = connect_to(application.listener());
  REQUIRE(comes_to_recv(application.worker().pid()));
  application.worker().send(LIVESWAP_MESSAGE, 7, "a word");
  // Longer than any signal takes.
  CHECK_FALSE(readable(application.worker().channel(), 500));
  CHECK(threads_of(application.worker().pid()) == 1);
  REQUIRE(write(connection.get(), "x", 1) == 1);
  CHECK(application.await(LIVESWAP_TAKEN).value == 7);
  CHECK(read_all(connection.get()) == "ok");
  application.check_drains();
}

// A client may keep it in recv(), so its control thread does not park.
TEST_CASE("an application that is no event loop keeps the control thread") {
  Application application("in-turn");
  application.await(LIVESWAP_WAITS);
  const auto connection = connect_to(application.listener());
  char answer[2];
  REQUIRE(read(connection.get(), answer, sizeof answer) == 2);
  CHECK(stays_at(application.worker().pid(), 2));
  check_takes_message(application);
  check_counts(application, 1);
}

TEST_CASE(
    "it stays from the first thread on, where an application sleeps in accept(), and where the signal would "
    "not "
    "arrive") {
  for (const std::string what : {"another-thread", "one-by-one", "in-accept", "no-signals",
                                 "no-signals-later", "deaf", "deaf-later", "filtered"}) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_WAITS);
    const long threads = what == "another-thread" ? 3 : 2;
    REQUIRE(comes_to(application.worker().pid(), threads));
    application.check_serves();
    CHECK(stays_at(application.worker().pid(), threads));
    application.check_drains();
  }
}

TEST_CASE(
    "it comes before it could not any more, or would not be seen: a thread, a ring, a filter, a child, "
    "signals") {
  for (const std::string how :
       {"thrd", "ring", "seccomp", "prctl", "fork", "fork in a handler", "mask", "handler"}) {
    CAPTURE(how);
    if (how == "ring" && !have_rings()) continue;
    Parked application("changes", {how});
    application.check_serves();
    const long threads = how == "thrd" ? 3 : 2;
    CHECK(comes_to(application.worker().pid(), threads));
    CHECK(stays_at(application.worker().pid(), threads));
    application.check_serves();
    check_takes_message(application);
    check_counts(application, 0);
    application.check_drains();
  }
}

TEST_CASE("one that is not ready is looked at") {
  Application application("sleeps");
  CHECK(comes_to(application.worker().pid(), 2));
}

TEST_CASE("a worker that binds again while the control thread is parked gets its answer") {
  Application application("elsewhere", {}, Application::free_port(), {Application::free_port()});
  application.await(LIVESWAP_WAITS);
  const auto connection = connect_to(application.listener());
  REQUIRE(comes_to(application.worker().pid(), 1));
  REQUIRE(write(connection.get(), "x", 1) == 1);
  CHECK(read_all(connection.get()) == "ok");
  application.await(LIVESWAP_LISTEN);
  application.check_serves();
  CHECK(comes_to(application.worker().pid(), 1));
  application.check_drains();
}

TEST_CASE("the end of the master is noticed") {
  for (const std::string& what : loops) {
    CAPTURE(what);
    Parked application(what);
    application.worker().abandon();
    CHECK(application.worker().wait().number == 0);
  }
}

TEST_CASE("one that passes no safe point when its master has died does not live for ever") {
  for (const std::string how : {"hang", "recv"}) {
    CAPTURE(how);
    Parked application("changes", {how}, {"100", "100"});
    const auto connection = connect_to(application.listener());
    char byte = 0;
    if (how == "recv") REQUIRE(comes_to_recv(application.worker().pid()));
    if (how == "hang") REQUIRE(read(connection.get(), &byte, 1) == 1);
    application.worker().abandon();
    const End end = application.worker().wait();
    CHECK(!end.exited);
    CHECK(end.number == SIGTERM);
  }
}
