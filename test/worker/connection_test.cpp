// Closing, counting and taking away: what the host does to connections and listeners.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>

#include "harness.hpp"

using namespace liveswap::test;

namespace {

struct Served {
  liveswap::UniqueFd listener = listen_tcp();
  Worker worker = Worker::start({.path = probe(), .listeners = {listener.get()}, .names = "0"});

  // Connects, and returns the number of the descriptor in the worker.
  std::string accept(liveswap::UniqueFd& client) {
    client = connect_to(listener.get());
    return worker.ask("accept");
  }
  std::uint64_t count() {
    worker.send(LIVESWAP_COUNT, 9);
    for (;;) {
      const Frame frame = worker.expect(LIVESWAP_COUNTED);
      if (frame.value == 9) return frame.count;
    }
  }
};

void send_text(int fd, const std::string& text) {
  REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("lingering close: the client gets the whole answer and then the end, whatever it still sends") {
  Served served;
  liveswap::UniqueFd client;
  const std::string fd = served.accept(client);
  send_text(client.get(), std::string(50'000, 'q'));  // never read by the application
  CHECK(served.worker.ask("write " + fd + " 100000") == "0 left");
  CHECK(served.worker.ask("linger " + fd) == "0");
  send_text(client.get(), std::string(50'000, 'q'));
  const auto answer = read_all(client.get());
  REQUIRE(answer);
  CHECK(answer->size() == 100'000);
  CHECK(served.count() == 1);  // lingering ones count
  client.reset();
  while (served.count() != 0) {
  }
}

TEST_CASE(
    "lingering close: a client that never closes is given up after the limit, and the exit waits no longer") {
  Served served;
  liveswap::UniqueFd client;
  const std::string fd = served.accept(client);
  const auto began = std::chrono::steady_clock::now();
  served.worker.ask("linger " + fd);
  served.worker.send(LIVESWAP_MESSAGE, 1, "return 6");
  CHECK(served.worker.wait().number == 6);
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took > std::chrono::milliseconds(1900));
  CHECK(took < std::chrono::milliseconds(10'000));
}

TEST_CASE("lingering close: what is no socket stays the caller's") {
  Served served;
  CHECK(served.worker.ask("linger 4") == "-1 ENOTSOCK");
  CHECK(served.worker.ask("linger 9999") == "-1 EBADF");
  CHECK(served.worker.ask("idle 9999 0") == "-1 EBADF");
}

TEST_CASE("lingering close: beyond the bound the oldest is closed at once") {
  Served served;
  std::vector<liveswap::UniqueFd> clients(1025);
  for (auto& client : clients) {
    const std::string fd = served.accept(client);
    REQUIRE(served.worker.ask("linger " + fd) == "0");
  }
  CHECK(served.count() <= 1024);
}

TEST_CASE("idle close: not before the grace since the drain and since the last answer") {
  Served served;
  liveswap::UniqueFd client;
  const std::string fd = served.accept(client);
  CHECK(served.worker.ask("idle " + fd + " 100000") == "200");  // not draining: left alone
  served.worker.send(LIVESWAP_DRAIN, 60'000);
  const int left = std::stoi(served.worker.ask("idle " + fd + " 0"));
  CHECK(left > 0);
  CHECK(left <= 200);
  send_text(client.get(), "GET");
  std::string waiting = served.worker.ask("idle " + fd + " 100000");
  for (; waiting != "-1 EAGAIN"; waiting = served.worker.ask("idle " + fd + " 1")) REQUIRE(waiting != "0");
}

TEST_CASE("idle close: after the grace the connection ends without a reset") {
  Served served;
  liveswap::UniqueFd client;
  const std::string fd = served.accept(client);
  served.worker.send(LIVESWAP_DRAIN, 60'000);
  int asked = 0;
  for (std::string left; left != "0"; ++asked) left = served.worker.ask("idle " + fd + " 100000");
  CHECK(asked > 1);
  const auto rest = read_all(client.get());
  REQUIRE(rest);
  CHECK(rest->empty());
  // And the master is told.
  const Frame frame = served.worker.expect(LIVESWAP_IDLE);
  liveswap_idle_count idle{};
  REQUIRE(frame.text.size() == sizeof idle);
  std::memcpy(&idle, frame.text.data(), sizeof idle);
  CHECK(idle.ended == 1);
  CHECK(idle.handed_off == 0);
}

TEST_CASE("count: open connections of the listeners, nothing else") {
  const std::string path = "/tmp/liveswap-count-" + std::to_string(getpid());
  const auto tcp = listen_tcp();
  const auto local = listen_unix(path);
  for (const int listener : {tcp.get(), local.get()}) {
    Worker worker = Worker::start({.path = probe(), .listeners = {listener}, .names = "0"});
    const auto count = [&] {
      worker.send(LIVESWAP_COUNT, 77);
      const Frame frame = worker.expect(LIVESWAP_COUNTED);
      CHECK(frame.value == 77);
      return frame.count;
    };
    CHECK(count() == 0);
    liveswap::UniqueFd one = connect_to(listener);
    liveswap::UniqueFd two = connect_to(listener);
    CHECK(count() == 0);  // in the queue: nobody's yet
    worker.ask("accept");
    CHECK(count() == 1);
    worker.ask("accept");
    CHECK(count() == 2);
  }
  unlink(path.c_str());
}

TEST_CASE("count: while draining every change is told without being asked") {
  Served served;
  liveswap::UniqueFd client;
  const std::string fd = served.accept(client);
  served.worker.send(LIVESWAP_DRAIN, 60'000);
  Frame frame = served.worker.expect(LIVESWAP_COUNTED);
  CHECK(frame.value == 0);
  CHECK(frame.count == 1);
  client.reset();
  served.worker.ask("linger " + fd);
  frame = served.worker.expect(LIVESWAP_COUNTED);
  CHECK(frame.value == 0);
  CHECK(frame.count == 0);
}

TEST_CASE("count: what the application has served goes along, and is told once more at the end") {
  Served served;
  const auto count = [&](int question) {
    if (question != 0) served.worker.send(LIVESWAP_COUNT, question);
    const Frame frame = served.worker.expect(LIVESWAP_COUNTED);
    CHECK(frame.value == question);
    liveswap_served_count found{};
    REQUIRE(frame.text.size() == sizeof found);
    std::memcpy(&found, frame.text.data(), sizeof found);
    return std::pair<std::uint64_t, std::uint64_t>(found.served, found.failed);
  };
  CHECK(count(3) == std::pair<std::uint64_t, std::uint64_t>(0, 0));
  served.worker.tell("served 10 3");
  served.worker.ask("draining");
  CHECK(count(4) == std::pair<std::uint64_t, std::uint64_t>(10, 3));
  served.worker.tell("served 1 0");
  served.worker.tell("return 0");
  CHECK(count(0) == std::pair<std::uint64_t, std::uint64_t>(11, 3));
  CHECK(served.worker.wait().number == 0);
}

TEST_CASE("revoked: the listener is taken away, the queue stays, an epoll neither fires nor forgets") {
  Served served;
  CHECK(served.worker.ask("watch") == "0");
  const auto client = connect_to(served.listener.get());
  CHECK(readable(served.listener.get(), 10'000));
  CHECK(served.worker.ask("events") == "1");
  served.worker.send(LIVESWAP_REVOKE);
  CHECK(served.worker.ask("events") == "0");
  CHECK(served.worker.ask("accept") == "-1 EAGAIN");
  CHECK(served.worker.ask("first") == std::to_string(LIVESWAP_FD_LISTENERS));
  // For whoever comes next the connection still waits.
  const int next = accept(served.listener.get(), nullptr, nullptr);
  CHECK(next >= 0);
  close(next);
}

TEST_CASE("revoked: an application that ignores drain accepts no more, and does not spin") {
  const auto listener = listen_tcp();
  Worker worker =
      Worker::start({.path = fixture("ignores_drain"), .listeners = {listener.get()}, .names = "0"});
  worker.expect(LIVESWAP_ENTERED);
  CHECK(get(listener.get()).find("Hello World\n") != std::string::npos);
  worker.send(LIVESWAP_DRAIN, 0);
  worker.send(LIVESWAP_REVOKE);
  worker.send(LIVESWAP_COUNT, 5);  // served in order: once it is answered the listener is gone
  while (worker.expect(LIVESWAP_COUNTED).value != 5) {
  }
  Worker successor =
      Worker::start({.path = fixture("version_v3"), .listeners = {listener.get()}, .names = "0"});
  successor.expect(LIVESWAP_ENTERED);
  for (int i = 0; i < 20; ++i) CHECK(get(listener.get()).find("X-Version: v3") != std::string::npos);
}
