// Applications that bind by raw system calls, fork, or leave: what is taken over, and what is refused with
// which words.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "application.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("raw system calls are taken over by seccomp") {
  Application application("raw", {"--intercept", "seccomp"});
  application.await(LIVESWAP_WAITS);
  REQUIRE(application.listener() >= 0);
  CHECK(application.listens() == 1);
  application.check_serves();
  application.check_drains();
}

TEST_CASE("with seccomp libc's calls are taken over once, and what runs beside binds for itself") {
  for (const std::string what : {"one-by-one", "poll", "helper", "programs"}) {
    CAPTURE(what);
    Application application(what, {"--intercept", "seccomp"});
    application.await(LIVESWAP_WAITS);
    CHECK(application.listens() == 1);
    application.check_serves();
    application.check_drains();
  }
}

TEST_CASE("without seccomp a listener by raw system calls is refused") {
  Application application("raw");
  const std::string text = application.failure();
  CHECK(has(text, "127.0.0.1:" + application.port()));
  CHECK(has(text, "--intercept seccomp"));
}

TEST_CASE("a listener whose master is slow to answer is not refused") {
  Application application("poll");
  // Several of the looks for listeners that nobody has seen.
  application.when_listening = [] { usleep(200'000); };
  application.await(LIVESWAP_WAITS);
  application.check_serves();
  application.check_drains();
}

TEST_CASE("listeners that are passed on on purpose are not refused") {
  Application application("private");
  application.await(LIVESWAP_WAITS);
  application.check_serves();
  application.check_drains();
}

TEST_CASE("prefork is refused, however the children wait") {
  for (const std::string what : {"prefork-accept", "prefork-poll", "prefork-select", "prefork-epoll"}) {
    CAPTURE(what);
    CHECK(has(Application(what).failure(), "prefork"));
  }
}

TEST_CASE("becoming a daemon is refused, however it is done") {
  for (const std::string what :
       {"daemon", "background", "background-twice", "background-serving", "background-return"}) {
    CAPTURE(what);
    CHECK(has(Application(what).failure(), "foreground"));
  }
}

TEST_CASE("children that do not serve are left alone") {
  for (const std::string what : {"fork-each", "programs", "helper"}) {
    CAPTURE(what);
    Application application(what);
    application.await(LIVESWAP_WAITS);
    for (int i = 0; i < 5; ++i) application.check_serves();
    application.check_drains();
  }
}

// One that reads a large file meanwhile would keep its clients waiting.
TEST_CASE("who listens is not ready before it waits for a connection") {
  const TempDir directory;
  for (const std::string what : {"late-accept", "late-poll", "late-select", "late-epoll"}) {
    CAPTURE(what);
    const std::string go = directory / what;
    Application application(what, {}, Application::free_port(), {go});
    application.await(LIVESWAP_LISTEN);
    // Longer than anything takes that could make it ready.
    CHECK_FALSE(readable(application.worker().channel(), 500));
    std::ofstream(go).put('x');
    application.await(LIVESWAP_WAITS);
    application.check_serves();
    application.check_drains();
  }
}

TEST_CASE("what a worker does to its listener, it does to itself alone") {
  Application application("guards");
  application.await(LIVESWAP_WAITS);
  CHECK(application.await(LIVESWAP_LISTEN).count == 1);
  CHECK(application.backlog() == 100);
  application.check_serves();
  CHECK((fcntl(application.listener(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK(application.await(LIVESWAP_UNLISTEN).text.size() == sizeof(std::uint64_t));
  // Others go on with it.
  const auto connection = connect_to(application.listener());
  REQUIRE(readable(application.listener(), 1'000));
  const auto accepted = liveswap::UniqueFd::adopt(::accept(application.listener(), nullptr, nullptr));
  CHECK(accepted);
  CHECK(application.backlog() == 100);
}

TEST_CASE("select() takes what libc's takes, also when the worker is drained") {
  Application application("select");
  application.await(LIVESWAP_WAITS);
  application.check_serves();
  application.check_serves();
  application.check_drains();
}

TEST_CASE("a status is passed on, and exit handlers run") {
  for (const std::string status : {"0", "5"}) {
    CAPTURE(status);
    Application application("exit", {}, status);
    CHECK(application.worker().wait().number == std::stoi(status));
  }
}

// The master knows of the listener as soon as it has answered the bind(), the worker when its thread has gone
// on.
TEST_CASE("a connection that comes before its listener is known is kept for it") {
  for (const std::string what : {"poll", "one-by-one"}) {
    CAPTURE(what);
    Application application(what);
    const auto elsewhere = listen_tcp();
    const auto client = connect_to(elsewhere.get());
    application.when_bound = [&] {
      const auto connection = liveswap::UniqueFd::adopt(::accept(elsewhere.get(), nullptr, nullptr));
      application.adopt(Application::cookie_of(application.listener()), connection.get());
      // Until the worker has read it.
      usleep(100'000);
    };
    application.await(LIVESWAP_WAITS);
    CHECK(read_all(client.get()) == "ok");
    application.check_drains();
  }
}

TEST_CASE("a connection whose listener does not come is given back, with the time that it has waited") {
  Application application("poll");
  application.await(LIVESWAP_WAITS);
  const auto elsewhere = listen_tcp();
  const auto client = connect_to(elsewhere.get());
  {
    const auto connection = liveswap::UniqueFd::adopt(::accept(elsewhere.get(), nullptr, nullptr));
    application.adopt(Application::cookie_of(elsewhere.get()), connection.get());
  }
  const auto frame = application.await(LIVESWAP_HANDOFF);
  CHECK(frame.text.size() == sizeof(std::uint64_t));
  CHECK(frame.count >= 900);
  CHECK_FALSE(readable(client.get(), 0));
  application.check_serves();
  application.check_drains();
}

TEST_CASE("each listener is told of once, whenever it is waited for first") {
  Application application("poll");
  const auto frame = application.await(LIVESWAP_WAITS);
  std::uint64_t cookie = 0;
  std::memcpy(&cookie, frame.text.data(), sizeof cookie);
  CHECK(cookie == Application::cookie_of(application.listener()));
  for (int i = 0; i < 5; ++i) application.check_serves();
  application.worker().send(LIVESWAP_DRAIN, 10'000);
  for (auto next = application.worker().next(); next; next = application.worker().next())
    CHECK(next->kind != LIVESWAP_WAITS);
}
