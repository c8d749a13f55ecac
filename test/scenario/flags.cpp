// The flags of the original liveswap, besides the sub-commands.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/instance.hpp"

namespace scenario {
namespace {

Process::Setup flags(const Site& site, const Words& words) {
  return {Words{liveswap_program()} + words + Words{"-p", site.control_port()}, site.environment};
}

TEST_CASE_FIXTURE(Scenario, "-s, -u, -m, -k and -d do what the original did") {
  const Site site(*this);
  Process master(dir, flags(site, {"--listen", site.address(), "-f", "3", "-s", fixture("version_v1")}));
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  CHECK(site.status()["forks"] == 3);
  CHECK(run(dir, flags(site, {"-u", fixture("version_v2")})).status == Exit::ok);
  CHECK(contains(http_get(site.address()), "v2"));
  CHECK(run(dir, flags(site, {"-u"})).status == Exit::ok);
  CHECK(site.status()["generation"] == 3);
  CHECK(run(dir, flags(site, {"-m", "hello"})).status == Exit::ok);
  CHECK(run(dir, flags(site, {"-k"})).status == Exit::ok);
  CHECK(run(dir, flags(site, {"-d"})).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "the long forms") {
  const Site site(*this);
  Process master(dir, flags(site, {"--listen", site.address(), "--start", fixture("version_v1")}));
  REQUIRE(eventually([&] { return site.status().value("state", "") == "running"; }));
  CHECK(run(dir, flags(site, {"--upgrade", fixture("version_v2")})).status == Exit::ok);
  CHECK(run(dir, flags(site, {"--message", "hello"})).status == Exit::ok);
  CHECK(run(dir, flags(site, {"--kill"})).status == Exit::ok);
  CHECK(run(dir, flags(site, {"--die"})).status == Exit::ok);
  CHECK(master.wait().status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "LIVESWAP_PORT is the default of the client side") {
  Instance app(*this, fixture("version_v1"));
  auto environment = app.site().environment;
  environment["LIVESWAP_PORT"] = app.site().control_port();
  CHECK(run(dir, {{liveswap_program(), "status"}, environment}).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "help and version as commands, and a command line with nothing on it") {
  const auto liveswap = [&](const Words& words) { return run(dir, {Words{liveswap_program()} + words}); };
  CHECK(liveswap({"help"}).status == Exit::ok);
  CHECK(contains(liveswap({"help", "status"}).out, "Usage: liveswap status"));
  CHECK(liveswap({"version"}).out == liveswap({"--version"}).out);
  const auto bare = liveswap({});
  CHECK(bare.status == Exit::usage);
  CHECK(bare.out.empty());
  CHECK(contains(bare.err, "Usage: liveswap COMMAND"));
}

TEST_CASE_FIXTURE(Scenario, "version and help") {
  for (const char* flag : {"-v", "--version", "--help"}) {
    const auto finished = run(dir, {{liveswap_program(), flag}});
    CHECK(finished.status == Exit::ok);
    CHECK_FALSE(finished.out.empty());
  }
  const auto help = run(dir, {{liveswap_program(), "--help"}}).out;
  for (const std::string word :
       {"start", "upgrade", "message", "kill", "die", "stop", "status", "forks", "--listen"}) {
    CAPTURE(word);
    CHECK(contains(help, word));
  }
}

TEST_CASE_FIXTURE(Scenario, "what nobody can mean is a usage error") {
  for (const auto& words : std::vector<Words>{{"fly"},
                                              {"--no-such-option"},
                                              {"start", "--forks", "two", "x.so"},
                                              {"start", "--listen", "nonsense", "x.so"},
                                              {"upgrade", "a", "b"},
                                              {"message"},
                                              {"forks"},
                                              {"status", "-p", "0"}}) {
    CAPTURE(words.front());
    const auto finished = run(dir, {Words{liveswap_program()} + words});
    CHECK(finished.status == Exit::usage);
    CHECK_FALSE(finished.err.empty());
  }
}

}  // namespace
}  // namespace scenario
