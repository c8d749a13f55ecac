// The applications that ship as samples, upgraded under load: each must drain according to the contract.
#include <doctest/doctest.h>

#include <sstream>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 6;

void upgrade_sample(Scenario& scenario, const std::string& first, const std::string& second,
                    const Words& load_words, const std::string& scheme = "http://") {
  Instance app(scenario, sample(first));
  Load load(scenario, scheme + app.address(), load_words);
  for (int i = 0; i < upgrades; ++i) {
    const auto finished = app.upgrade(sample(i % 2 == 0 ? second : first));
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  }
  load.stop().check_nothing_lost();
  CHECK(app.serves(sample(first)));
}

TEST_CASE_FIXTURE(Scenario, "hello, version 1 and 2") {
  upgrade_sample(*this, "hello_v1", "hello_v2", {"--rate", "300"});
}

TEST_CASE_FIXTURE(Scenario, "hello with keep-alive") {
  upgrade_sample(*this, "hello_keepalive", "hello_keepalive",
                 {"--rate", "300", "--keep-alive", "--connections", "20"});
}

TEST_CASE_FIXTURE(Scenario, "hello with keep-alive, a connection for each request") {
  upgrade_sample(*this, "hello_keepalive", "hello_v1", {"--rate", "300", "--any-body"});
}

// The echo protocol cannot tell a busy client to reconnect, so a drain waits for kept connections. Here each
// line has its own connection.
TEST_CASE_FIXTURE(Scenario, "echo") { upgrade_sample(*this, "echo", "echo", {"--rate", "300"}, "tcp://"); }

TEST_CASE_FIXTURE(Scenario, "what hello answers") {
  Instance app(*this, sample("hello_v1"));
  CHECK(contains(http_get(app.address()), "200 OK"));
  CHECK(contains(http_get(app.address()), "Hello World"));
  CHECK(app.upgrade(sample("hello_v2")).status == Exit::ok);
  CHECK(contains(http_get(app.address()), "404 Not Found"));
}

// Upgrades from each sample to the next, on one listener, whatever library it uses.
TEST_CASE_FIXTURE(Scenario, "ordinary servers") {
  const Port port;
  Instance app(*this, server_sample("threads"), {"--entry", "main"}, {port.text()});
  Load load(*this, port.address(), {"--rate", "300", "--any-body"});
  std::istringstream names(SERVERS ",threads_v2,threads");
  for (std::string name; std::getline(names, name, ',');) {
    CAPTURE(name);
    const auto finished = app.upgrade(server_sample(name));
    REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK(contains(http_get(port.address()),
                   name == "threads_v2" ? "Hello from version 2" : "Hello from version 1"));
  }
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "an ordinary server with a liveswap_main of one line") {
  const Port port;
  Instance app(*this, server_sample("libuv"), {"--entry", "liveswap_main"}, {port.text()});
  Load load(*this, port.address(), {"--rate", "300", "--any-body"});
  for (int i = 0; i < upgrades; ++i) CHECK(app.upgrade(server_sample("libuv")).status == Exit::ok);
  load.stop().check_nothing_lost();
}

}  // namespace
}  // namespace scenario
