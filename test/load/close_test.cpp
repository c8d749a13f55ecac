// Connections without a request: the server's end of file is the answer, so only an accepted connection
// counts.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "load/runner.hpp"

namespace liveswap::load::test {
namespace {

// Listens, and calls `what` with each accepted connection.
struct Server {
  template <class What>
  explicit Server(What what) {
    ::listen(listener.get(), 64);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
    target = parse_target("tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "", false).value();
    target.protocol = Protocol::close;
    thread = std::thread([this, what] {
      for (;;) {
        auto client = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
        if (!client) return;
        what(std::move(client));
      }
    });
  }
  ~Server() {
    ::shutdown(listener.get(), SHUT_RDWR);
    thread.join();
  }
  UniqueFd listener = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
  Target target;
  std::thread thread;
};

Accounting run_against(const Target& target, Time timeout) {
  Options options;
  options.target = target;
  options.rate = 500;
  options.requests = 50;
  options.duration = std::chrono::seconds(10);
  options.timeout = timeout;
  options.most_connections = 100;
  options.stops_on_signal = false;
  Accounting books(std::chrono::seconds(1));
  Runner runner(options, books, [](const std::string&) {});
  CHECK(runner.run());
  CHECK_FALSE(books.mismatch());
  return books;
}

TEST_CASE("a server that closes answers, whatever it says before") {
  Server server([](UniqueFd client) {
    std::array<char, 16> bytes;
    CHECK(::send(client.get(), "220 hello\r\n", 11, MSG_NOSIGNAL) == 11);
    CHECK(::recv(client.get(), bytes.data(), bytes.size(), 0) == 0);
  });
  CHECK(run_against(server.target, std::chrono::seconds(5)).total.of(Outcome::ok) == 50);
}

TEST_CASE("a reset is a failure, and is known by the port of its client") {
  Server server([](UniqueFd client) {
    std::array<char, 16> bytes;
    CHECK(::recv(client.get(), bytes.data(), bytes.size(), 0) ==
          0);  // the client has connected and shut down its side
    const linger at_once{1, 0};
    ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  });
  const Accounting books = run_against(server.target, std::chrono::seconds(5));
  CHECK(books.total.of(Outcome::reset) == 50);
  REQUIRE(books.failed.size() == 50);
  CHECK(books.failed.front().port >= 1024);
  CHECK(books.failed.front().outcome == Outcome::reset);
}

TEST_CASE("a connection that nobody accepts is no answer") {
  const auto listener = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM, 0));
  ::listen(listener.get(), 64);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  auto target = parse_target("tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "", false).value();
  target.protocol = Protocol::close;
  CHECK(run_against(target, std::chrono::milliseconds(300)).total.of(Outcome::timed_out) == 50);
}

TEST_CASE("tallies add up") {
  Tally one, other;
  one.latency.record(100);
  one.attempts = 1;
  one.outcomes[0] = 1;
  one.versions["a"] = 1;
  other = one;
  other.latency.record(5000);
  one.add(other);
  CHECK(one.attempts == 2);
  CHECK(one.of(Outcome::ok) == 2);
  CHECK(one.versions.at("a") == 2);
  CHECK(one.latency.count() == 3);
  CHECK(one.latency.max() == 5000);
  CHECK(one.latency.at(0.5) == 100);
}

}  // namespace
}  // namespace liveswap::load::test
