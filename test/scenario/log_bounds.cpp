// Clients, libraries and workers can make the master write only a bounded number of lines to its log; the log
// counts the omitted ones.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

std::string talker(const std::string& kind) { return own_fixture("talker_" + kind); }

std::size_t lines_with(const std::string& log, std::string_view part) {
  const auto lines = lines_of(log);
  return static_cast<std::size_t>(std::count_if(
      lines.begin(), lines.end(), [&](const std::string& line) { return contains(line, part); }));
}

TEST_CASE_FIXTURE(Scenario,
                  "connections without a token, and such that send no command, are 10 lines a minute each") {
  Instance app(*this, fixture("version_v1"));
  for (int i = 0; i < 200; ++i) {
    Connection stranger(tcp_door(app.site()));
    stranger.send(i % 2 == 0 ? "{\"cmd\":\"status\"}\n" : "GET / HTTP/1.1\r\n\r\n");
    CHECK(contains(stranger.read_line(), "\"error\""));
  }
  const auto log = app.master().err();
  // Two lines, if a minute ends in between.
  CHECK(lines_with(log, "command with no valid token was refused on TCP, from 127.0.0.1:") >= 10);
  CHECK(lines_with(log, "command with no valid token was refused on TCP, from 127.0.0.1:") <= 20);
  CHECK(lines_with(log, "a line that is no command was refused, from 127.0.0.1:") >= 10);
  CHECK(lines_with(log, "a line that is no command was refused, from 127.0.0.1:") <= 20);
}

TEST_CASE_FIXTURE(Scenario,
                  "a library that writes as fast as it can while it is checked gets a megabyte of the log") {
  Instance app(*this, fixture("version_v1"), {"--check-limit", "1s"});
  const auto finished = app.upgrade(talker("selftest_flood"));
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(finished.err, "preflight, stage selftest: it took longer than its limit of 1000 ms"));
  CHECK(contains(finished.err, "xxxx"));  // the last output is kept nevertheless
  const auto log = app.master().err();
  CHECK(log.size() < 8'000'000);
  CHECK(lines_with(log, "more bytes that it wrote were left out") == 1);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario,
                  "of what a worker logs at once by liveswap_log 1,000 lines a second are written") {
  Instance app(*this, talker("chatter"), {"--forks", "1"});
  CHECK(eventually([&] { return contains(http_get(app.address()), "v1"); }));
  CHECK(app.run("die").status == Exit::ok);
  CHECK(app.master().wait().status == Exit::ok);
  const auto log = app.master().err();
  CHECK(lines_with(log, "line 0 of very many") == 1);
  CHECK(lines_with(log, "of very many") < 15'000);
  CHECK(lines_with(log, "of its log left out") >= 1);
}

TEST_CASE_FIXTURE(Scenario,
                  "that workers run as root is said once at the start, unless --user has chosen it") {
  const std::string said = "warning: the workers run as root";
  {
    Instance app(*this, fixture("version_v1"));
    CHECK(lines_with(app.master().err(), said) == (::geteuid() == 0 ? 1 : 0));
  }
  if (::geteuid() != 0) return;
  Instance app(*this, fixture("version_v1"), {"--user", "root"});
  CHECK(lines_with(app.master().err(), said) == 0);
}

}  // namespace
}  // namespace scenario
