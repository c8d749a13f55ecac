#include "systemd/messages.hpp"

#include <doctest/doctest.h>

namespace liveswap::systemd {
namespace {

using namespace std::chrono_literals;

TEST_CASE("each message is lines of NAME=VALUE") {
  CHECK(ready(42) == "READY=1\nMAINPID=42\n");
  CHECK(main_pid(42) == "MAINPID=42\n");
  CHECK(reloading(1'234'567us) == "RELOADING=1\nMONOTONIC_USEC=1234567\n");
  CHECK(stopping() == "STOPPING=1\n");
  CHECK(watchdog() == "WATCHDOG=1\n");
  CHECK(extend_timeout(30s) == "EXTEND_TIMEOUT_USEC=30000000\n");
  CHECK(store("web#0") == "FDSTORE=1\nFDNAME=web#0\nFDPOLL=0\n");
  CHECK(systemd::remove("web#0") == "FDSTOREREMOVE=1\nFDNAME=web#0\n");
}

TEST_CASE("a status is one line, whatever a path contains") {
  CHECK(status("a\nREADY=1\tb\x7f") == "STATUS=a READY=1 b \n");
  const auto text = status(std::string(2000, 'x'));
  CHECK(text.size() == 7 + 1024 + 1);
  // No character is cut in two.
  const auto cut = status(std::string(1023, 'x') + "ä and more");
  CHECK(cut == "STATUS=" + std::string(1023, 'x') + "\n");
}

TEST_CASE("the summary names release, generation and slots") {
  Summary summary;
  summary.state = "starting";
  summary.goal = "/srv/a.so";
  summary.slots = 4;
  CHECK(text_of(summary) == "starting /srv/a.so: 0 of 4 slots ready");
  summary = {};
  summary.state = "running";
  summary.path = "/srv/a.so";
  summary.id = "0123456789abcdef";
  summary.generation = 3;
  summary.slots = summary.ready = 4;
  const std::string served = "/srv/a.so (0123456789ab), generation 3: 4 of 4 slots ready";
  CHECK(text_of(summary) == "running " + served);
  summary.draining = 1;
  CHECK(text_of(summary) == "running " + served + ", 1 worker drains");
  summary.draining = 2;
  CHECK(text_of(summary) == "running " + served + ", 2 workers drain");
  summary.draining = 0;
  summary.state = "upgrading";
  summary.phase = "preparing";
  CHECK(text_of(summary) == "upgrading (preparing), 0 of 4 slots done; serves " + served);
  summary.phase = "rolling";
  summary.goal = "/srv/b.so";
  summary.upgraded = 1;
  CHECK(text_of(summary) == "upgrading to /srv/b.so (rolling), 1 of 4 slots done; serves " + served);
}

}  // namespace
}  // namespace liveswap::systemd
