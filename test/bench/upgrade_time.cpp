// Measures how long an upgrade of 2 workers takes when no connection delays the drain: from the start of the
// command `liveswap upgrade` to the last answer of the old code that a client gets, and to the end of the
// command. The client sends requests without a pause, each on a new connection. Run by test/bench/run.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include "support/instance.hpp"

namespace scenario {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int rounds = 41;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Sends requests without a pause, and notes when each version answered last.
class Prober {
 public:
  explicit Prober(std::uint16_t port) : port_(port), thread_([this] { ask_until_stopped(); }) {}
  ~Prober() {
    stop_ = true;
    thread_.join();
  }
  Clock::time_point last(const std::string& version) {
    const std::lock_guard guard(mutex_);
    return last_[version];
  }
  int failures() const { return failures_; }

 private:
  void ask_until_stopped() {
    while (!stop_) {
      const std::string version = ask();
      if (version.empty()) ++failures_;
      const std::lock_guard guard(mutex_);
      last_[version] = Clock::now();
    }
  }

  std::string ask() const {
    const auto fd = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{5, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return "";
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return "";
    std::string answer;
    char bytes[1024];
    // The body is the version and a newline. The end of file is no end: the server would keep the connection.
    while (answer.find("\r\n\r\nv") == std::string::npos || answer.back() != '\n') {
      const ssize_t n = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (n <= 0) return "";
      answer.append(bytes, static_cast<size_t>(n));
    }
    return answer.substr(answer.size() - 3, 2);
  }

  std::uint16_t port_;
  std::atomic<bool> stop_{false};
  std::atomic<int> failures_{0};
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> last_;
  std::thread thread_;
};

struct Spread {
  std::vector<double> values;
  std::string text() {
    std::sort(values.begin(), values.end());
    char line[96];
    std::snprintf(line, sizeof line, "min %.1f, median %.1f, max %.1f ms", values.front(),
                  values[values.size() / 2], values.back());
    return line;
  }
};

enum class Way { upgrade, rollback };

Finished go(const Instance& app, Way way, const std::string& library) {
  return way == Way::upgrade ? app.upgrade(library) : app.run("rollback");
}

void measure(Scenario& scenario, const std::string& title, const std::string& prefix, const Words& options,
             Way way = Way::upgrade) {
  Instance app(scenario, fixture(prefix + "v1"), options);
  const auto port = static_cast<std::uint16_t>(std::stoi(app.address().substr(app.address().find(':') + 1)));
  Prober prober(port);
  Spread last_answer, command;
  for (int i = 0; i < rounds; ++i) {
    const std::string from = i % 2 ? "v2" : "v1", to = i % 2 ? "v1" : "v2";
    REQUIRE(eventually([&] { return prober.last(from) != Clock::time_point{}; }));
    const auto begin = Clock::now();
    REQUIRE(go(app, i == 0 ? Way::upgrade : way, fixture(prefix + to)).status == Exit::ok);
    command.values.push_back(ms_between(begin, Clock::now()));
    REQUIRE(eventually([&] { return prober.last(to) > begin; }));
    last_answer.values.push_back(ms_between(begin, prober.last(from)));
  }
  std::printf("%s: command to last old answer: %s; to its own end: %s; %d upgrades, %d requests failed\n",
              title.c_str(), last_answer.text().c_str(), command.text().c_str(), rounds, prober.failures());
  CHECK(prober.failures() == 0);
}

TEST_CASE_FIXTURE(Scenario, "settle time 0") {
  measure(*this, "settle 0ms", "version_", {"--settle", "0ms"});
}

TEST_CASE_FIXTURE(Scenario, "explicit ready") { measure(*this, "liveswap_ready()", "ready_", {}); }

// Rolls back again and again, between two releases.
TEST_CASE_FIXTURE(Scenario, "rollback") {
  measure(*this, "rollback, liveswap_ready()", "ready_", {}, Way::rollback);
}

TEST_CASE_FIXTURE(Scenario, "rollback, settle time 0") {
  measure(*this, "rollback, settle 0ms", "version_", {"--settle", "0ms"}, Way::rollback);
}

TEST_CASE_FIXTURE(Scenario, "defaults") { measure(*this, "settle 100ms (default)", "version_", {}); }

}  // namespace
}  // namespace scenario
