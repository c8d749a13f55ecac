// Measures how long a killed master is missed: from the start of the next `liveswap start` to the first
// answer to `status`, and to the first answer at a listener that only that start has. One connection is held
// open. Exit status 1: a median is not below 200 ms. Run by test/bench/adoption.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/mortal.hpp"

namespace scenario {
namespace {

constexpr int rounds = 20;
constexpr double limit_ms = 200;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Waits without a pause that would show in the result.
template <class Condition>
double time_until(Clock::time_point begin, const Condition& condition) {
  while (!condition() && ms_since(begin) < 60'000) ::poll(nullptr, 0, 1);
  return ms_since(begin);
}

bool answers_status(const Site& site) {
  auto client = Connection::attempt(local_door(site));
  return client && client->send("{\"cmd\":\"status\"}\n") && contains(client->read_line(), "\"running\"");
}

// Whether a client that comes now is answered. One that has come before the first worker served would wait a
// second, until the kernel repeats its first packet.
bool answers_at(const Port& port) {
  const auto fd = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port.number());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to);
  pollfd wait{fd.get(), POLLOUT, 0};
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  if (::poll(&wait, 1, 5) != 1 || ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
    return false;
  wait.events = POLLIN;
  char bytes[64];
  return ::poll(&wait, 1, 10'000) == 1 && ::recv(fd.get(), bytes, sizeof bytes, 0) > 0;
}

void print(const std::string& what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  std::printf("%s: median %.0f ms, worst %.0f ms, of %zu\n", what.c_str(), median, times.back(),
              times.size());
  std::fflush(stdout);
  CHECK_MESSAGE(median < limit_ms, what);
}

Words start_words(const Site& site, const Words& more) {
  return Words{"--listen", site.address(), "--orphan-wait", "forever"} + more;
}

// Kills the master; the next one is started by `launch`, and `condition` says when it has answered.
struct Fallen {
  Fallen(Scenario& scenario, const Words& options)
      : site(std::make_shared<Site>(scenario)),
        master(site->launch("start", start_words(*site, options) + Words{own_fixture("report"), "--", "x"})) {
    REQUIRE_MESSAGE(eventually([&] { return answers_status(*site); }), master.err());
    held.emplace(site->address());
    REQUIRE(held->send("GET / HTTP/1.1\r\n"));
    master.signal(SIGKILL);
    master.wait();
  }
  ~Fallen() {
    held.reset();
    site->run("die");
    if (next) next->wait();
  }
  template <class Condition>
  double time_to(const Words& options, const Condition& condition) {
    const auto begin = Clock::now();
    next.emplace(site->launch("start", start_words(*site, options) + Words{"--", "x"}));
    return time_until(begin, condition);
  }

  std::shared_ptr<Site> site;
  Process master;
  std::optional<Connection> held;
  std::optional<Process> next;
};

void measure(Scenario& scenario, const std::string& title, const Words& options) {
  std::vector<double> to_status, to_listener;
  for (int i = 0; i < rounds; ++i) {
    {
      Fallen app(scenario, options);
      to_status.push_back(app.time_to(options, [&] { return answers_status(*app.site); }));
    }
    const Port added;
    Fallen app(scenario, options);
    to_listener.push_back(
        app.time_to(options + Words{"--listen", "x=" + added.address()}, [&] { return answers_at(added); }));
  }
  print(title + ", start to the answer to status", to_status);
  print(title + ", start to the answer at a new listener", to_listener);
}

TEST_CASE_FIXTURE(Scenario, "2 workers") { measure(*this, "2 workers", {"--forks", "2", "--settle", "0ms"}); }

TEST_CASE_FIXTURE(Scenario, "8 workers") { measure(*this, "8 workers", {"--forks", "8", "--settle", "0ms"}); }

}  // namespace
}  // namespace scenario
