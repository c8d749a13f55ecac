// Measures how long an ordinary server's worker lives after its last connection. An upgrade leaves an old
// worker with one connection, which the client then closes. Prints one line for each server of
// test/unmodified; a median above 200 ms is a failure. Run by test/bench/run.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <sstream>
#include <thread>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

constexpr int rounds = 11;
constexpr double limit_ms = 200;
const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

std::string server(const std::string& name, const std::string& version) {
  return UNMODIFIED_BUILD "/lib" + name + "_" + version + ".so";
}

Words options_for(const std::string& name) {
  return Words{"--entry", "main", "--keepalive", "keep", "--intercept", name == "raw" ? "seccomp" : "libc"};
}

std::vector<pid_t> still_there(std::vector<pid_t> pids) {
  std::erase_if(pids, [](pid_t pid) { return !proc::runs(pid); });
  return pids;
}

// Reads the whole answer, so that the client's close() sends a FIN and not a RST.
void read_answer(Connection& connection) {
  std::size_t length = 0;
  for (std::string line; (line = connection.read_line()) != "\r\n";) {
    REQUIRE(line.ends_with("\n"));
    for (char& c : line) c = static_cast<char>(std::tolower(c));
    if (line.starts_with("content-length:")) length = std::stoul(line.substr(15));
  }
  REQUIRE(connection.read_exactly(length).size() == length);
}

double until_gone(Instance& app, const std::string& address, const std::string& library) {
  const auto before = app.workers();
  std::optional<Connection> connection(std::in_place, address);
  REQUIRE(connection->send(request));
  read_answer(*connection);
  auto upgrade = app.site().launch("upgrade", {library});
  REQUIRE(eventually([&] { return still_there(before).size() == 1; }));
  const auto began = std::chrono::steady_clock::now();
  connection.reset();
  while (!still_there(before).empty()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - began;
  REQUIRE(upgrade.wait().status == Exit::ok);
  return taken.count();
}

TEST_CASE_FIXTURE(Scenario, "from the last connection to the end of the worker") {
  std::printf("%-20s %8s %8s %8s   ms from the last connection's end to the worker's\n", "server", "min",
              "median", "max");
  std::istringstream list(UNMODIFIED_SERVERS);
  for (std::string name; std::getline(list, name, ',');) {
    const Port port;
    Instance app(*this, server(name, "v1"), options_for(name), {port.text()});
    std::vector<double> taken;
    for (int i = 1; i <= rounds; ++i)
      taken.push_back(until_gone(app, port.address(), server(name, i % 2 ? "v2" : "v1")));
    std::sort(taken.begin(), taken.end());
    std::printf("%-20s %8.1f %8.1f %8.1f\n", name.c_str(), taken.front(), taken[taken.size() / 2],
                taken.back());
    std::fflush(stdout);
    CHECK_MESSAGE(taken[taken.size() / 2] < limit_ms, name);
  }
}

}  // namespace
}  // namespace scenario
