// What it is all for: under load, workers follow one another on one socket and no request is lost.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "harness.hpp"

using namespace liveswap::test;

namespace {

const std::string kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

// One answer with a Content-Length; empty when the connection ended before it was whole.
std::string read_answer(int fd) {
  std::string answer;
  for (;;) {
    const std::size_t head = answer.find("\r\n\r\n");
    const std::size_t length = answer.find("Content-Length: ");
    if (head != std::string::npos && length < head &&
        answer.size() == head + 4 + std::stoul(answer.substr(length + 16))) {
      return answer;
    }
    char buffer[4096];
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    if (size <= 0) return "";
    answer.append(buffer, static_cast<std::size_t>(size));
  }
}

struct Load {
  std::atomic<bool> stop = false;
  std::atomic<long> answered = 0;
  std::atomic<long> lost = 0;

  // A client that keeps its connection as long as it may.
  void run(const sockaddr* address, socklen_t size) {
    liveswap::UniqueFd fd;
    while (!stop) {
      if (!fd) {
        fd = liveswap::UniqueFd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (connect(fd.get(), address, size) != 0) ++lost;
      }
      const ssize_t sent = send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
      const std::string answer = sent < 0 ? "" : read_answer(fd.get());
      ++(answer.empty() ? lost : answered);
      if (answer.empty() || answer.find("Connection: close") != std::string::npos) fd.reset();
    }
  }
};

struct StopAtEnd {
  Load& load;
  ~StopAtEnd() { load.stop = true; }
};

void swap_under_load(const std::string& one, const std::string& other) {
  const auto listener = listen_tcp();
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const auto start = [&](const std::string& path) {
    // Made in place: a worker does not move.
    std::unique_ptr<Worker> worker(
        new auto(Worker::start({.path = path, .listeners = {listener.get()}, .names = "0"})));
    worker->expect(LIVESWAP_ENTERED);
    return worker;
  };
  Load load;
  auto current = start(one);
  std::vector<std::jthread> clients;
  const StopAtEnd stop{load};  // also if the test fails, so that the clients can be joined
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] { load.run(reinterpret_cast<const sockaddr*>(&address), size); });
  }
  for (int i = 0; i < 10; ++i) {
    const long before = load.answered;
    auto successor = start(i % 2 == 0 ? other : one);
    current->send(LIVESWAP_DRAIN, 20'000);
    CHECK(current->wait().number == 0);
    current = std::move(successor);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (load.answered < before + 100 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    REQUIRE(load.answered >= before + 100);
  }
  load.stop = true;
  clients.clear();
  CHECK(load.lost == 0);
  MESSAGE(one << ": " << load.answered.load() << " answers");
}

}  // namespace

TEST_CASE("swapping under load loses nothing") {
  swap_under_load(fixture("version_v1"), fixture("version_v2"));
  swap_under_load(sample("hello_v1"), sample("hello_v2"));
  swap_under_load(sample("hello_keepalive"), sample("hello_keepalive"));
}
