// The control thread is there only while it has something to do (src/worker/control/control_thread.h).
#include <doctest/doctest.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
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

}  // namespace

TEST_CASE("a server of one thread is one: it starts, binds, serves and is counted without another") {
  for (const std::string& what : loops) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_WAITS);
    const pid_t pid = application.worker().pid();
    for (int i = 0; i < 3; ++i) {
      application.check_serves();
      check_counts(application, 0);
      CHECK(threads_of(pid) == 1);
    }
    application.check_drains();
  }
}

TEST_CASE("the control thread comes for a message, wherever the application waits, and goes again") {
  for (const std::string& what : loops) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_WAITS);
    const pid_t pid = application.worker().pid();
    application.check_serves();  // shows that it is a loop
    for (int i = 0; i < 3; ++i) {
      check_takes_message(application);
      CHECK(comes_to(pid, 1));
      application.check_serves();
    }
    application.check_drains();
  }
}

// It is in recv(), which goes on. Before its first connection nobody knows that it serves so.
TEST_CASE("an application that is blocked by a client is reached, and keeps the control thread") {
  Application application("in-turn");
  application.await(LIVESWAP_WAITS);
  const auto connection = connect_to(application.listener());
  char answer[2];
  REQUIRE(read(connection.get(), answer, sizeof answer) == 2);
  check_counts(application, 1);
  CHECK(threads_of(application.worker().pid()) == 1);
  check_takes_message(application);
  REQUIRE(write(connection.get(), "x", 1) == 1);
  CHECK(stays_at(application.worker().pid(), 2));
  check_takes_message(application);
  check_counts(application, 1);
}

TEST_CASE(
    "it stays from the first thread on, for who blocks in accept, and where nobody would hear that it is "
    "wanted") {
  for (const std::string what :
       {"another-thread", "one-by-one", "no-signals", "no-signals-later", "deaf", "deaf-later", "filtered"}) {
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
    "it comes before it could not any more, or would not be seen: a thread, a ring, a filter, a child") {
  for (const std::string how : {"thrd", "ring", "seccomp", "prctl", "fork", "fork in a handler"}) {
    CAPTURE(how);
    if (how == "ring" && !have_rings()) continue;
    Application application("changes", {}, Application::free_port(), {how});
    application.await(LIVESWAP_WAITS);
    application.check_serves();
    CHECK(comes_to(application.worker().pid(), 1));
    application.check_serves();
    const long threads = how == "thrd" ? 3 : 2;
    CHECK(comes_to(application.worker().pid(), threads));
    CHECK(stays_at(application.worker().pid(), threads));
    application.check_serves();
    check_takes_message(application);
    application.check_drains();
  }
}

TEST_CASE("who is not ready soon is looked at") {
  Application application("sleeps");
  CHECK(comes_to(application.worker().pid(), 2));
}

TEST_CASE("a worker that binds again while there is no control thread gets its answer") {
  Application application("elsewhere", {}, Application::free_port(), {Application::free_port()});
  application.await(LIVESWAP_WAITS);
  const auto connection = connect_to(application.listener());
  REQUIRE(write(connection.get(), "x", 1) == 1);
  CHECK(read_all(connection.get()) == "ok");
  application.await(LIVESWAP_LISTEN);
  application.check_serves();
  CHECK(threads_of(application.worker().pid()) == 1);
  application.check_drains();
}

TEST_CASE("the end of the master is noticed") {
  for (const std::string& what : loops) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_WAITS);
    application.check_serves();
    REQUIRE(threads_of(application.worker().pid()) == 1);
    application.worker().abandon();
    CHECK(application.worker().wait().number == 0);
  }
}

TEST_CASE("one that hangs when its master has ended does not hang for ever") {
  Application application("hangs", {}, Application::free_port(), {}, {"100", "100"});
  application.await(LIVESWAP_WAITS);
  const auto connection = connect_to(application.listener());
  char answer[2];
  REQUIRE(read(connection.get(), answer, sizeof answer) == 2);
  REQUIRE(threads_of(application.worker().pid()) == 1);
  application.worker().abandon();
  const End end = application.worker().wait();
  CHECK(!end.exited);
  CHECK(end.number == SIGTERM);
}
