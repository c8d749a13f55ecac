#include "verify/findings.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace liveswap::verify {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A successful run: three requests, all answered.
Findings good() {
  Findings findings;
  load::Tally tally;
  tally.attempts = 3;
  tally.outcomes[0] = 3;
  for (int i = 0; i < 3; ++i) tally.latency.record(100);
  findings.measured.phases = {{"before", tally}, {"upgrades", tally}};
  findings.measured.total.add(tally);
  findings.measured.total.add(tally);
  Upgrade upgrade;
  upgrade.to = "/srv/libapp_v2.so";
  upgrade.length = milliseconds(250);
  findings.upgrades = {upgrade};
  findings.faults = {{Fault::crash_at_load, true, "turned down", "turned down: SIGSEGV", milliseconds(5)}};
  findings.whole_at_end = true;
  return findings;
}

void lose(Findings& findings, const std::string& phase, Instant when, std::uint16_t port) {
  for (auto& one : findings.measured.phases)
    if (one.name == phase) ++one.tally.attempts, ++one.tally.outcomes[2];
  ++findings.measured.total.attempts;
  ++findings.measured.total.outcomes[2];
  findings.measured.losses.push_back({phase, when, port, "reset: read: Connection reset by peer"});
}

Task task() {
  Task task;
  task.library = "/srv/libapp.so";
  task.second = "/srv/libapp_v2.so";
  task.upgrades = 1;
  task.faults = {Fault::crash_at_load};
  return task;
}

bool mentions(const Findings& findings, const std::string& part) {
  for (const auto& problem : findings.problems())
    if (problem.find(part) != std::string::npos) return true;
  return false;
}

TEST_CASE("a run in which nothing was lost has passed") {
  const Findings findings = good();
  CHECK(findings.problems().empty());
  CHECK(as_text(findings, task(), false).find("PASSED: 6 requests, none was lost") != std::string::npos);
  CHECK(nlohmann::json::parse(as_json(findings, task()))["passed"] == true);
}

TEST_CASE("each thing that went wrong makes the run fail, and is said") {
  const Instant now{seconds(100)};
  struct Case {
    const char* said;
    std::function<void(Findings&)> break_it;
  };
  const Case cases[] = {
      {"1 request failed, of 7", [&](auto& f) { lose(f, "upgrades", now, 4711); }},
      {"before the first upgrade", [&](auto& f) { lose(f, "before", now, 4711); }},
      {"upgrade 1 to /srv/libapp_v2.so failed: SIGSEGV",
       [](auto& f) {
         f.upgrades[0].outcome = {reverted, "SIGSEGV"};
       }},
      {"crash-at-load: expected", [](auto& f) { f.faults[0].as_expected = false; }},
      {"2 workers died", [](auto& f) { f.restarts = 2; }},
      {"not every slot", [](auto& f) { f.whole_at_end = false; }},
      {"not everything was tried", [](auto& f) { f.cut_short = "upgrade 1 of 1 failed"; }},
      {"the master ended with", [](auto& f) { f.stopped = "the master ended with exit status 1"; }},
      {"proves nothing", [](auto& f) { f.measured.total = {}; }},
      {"1 answer on idle", [](auto& f) { f.measured.garbage = 1; }},
      {"the measuring failed", [](auto& f) { f.measured.faults = {"cannot wait"}; }},
  };
  for (const Case& one : cases) {
    CAPTURE(one.said);
    Findings findings = good();
    one.break_it(findings);
    CHECK(mentions(findings, one.said));
    CHECK(as_text(findings, task(), false).find("FAILED:") != std::string::npos);
    CHECK(nlohmann::json::parse(as_json(findings, task()))["passed"] == false);
  }
}

TEST_CASE("only what was on the connections of a killed worker is lost with it") {
  const Instant death{seconds(100)};
  Findings findings = good();
  findings.killed = {{death, {4711, 4712}}};
  findings.restarts = 1;
  lose(findings, "upgrades", death + milliseconds(1), 4711);
  CHECK(findings.lost_with_worker() == 1);
  CHECK(findings.lost() == 0);
  CHECK(findings.problems().empty());

  SUBCASE("another connection") { lose(findings, "upgrades", death + milliseconds(1), 4713); }
  SUBCASE("before its death") { lose(findings, "upgrades", death - milliseconds(1), 4711); }
  SUBCASE("long after, by somebody else with that port") {
    lose(findings, "upgrades", death + seconds(7), 4711);
  }
  SUBCASE("no connection at all") { lose(findings, "upgrades", death + milliseconds(1), 0); }
  CHECK(findings.lost_with_worker() == 1);
  CHECK(findings.lost() == 1);
  CHECK(findings.lost_in("upgrades") == 1);
  CHECK(findings.lost_in("before") == 0);
  CHECK_FALSE(findings.problems().empty());
}

TEST_CASE("a long explanation is cut, and drives no terminal") {
  Findings findings = good();
  findings.faults[0].found = "turned down: \x1b[2J" + std::string(500, 'x');
  findings.stopped = "the master ended\x1b[2J";
  findings.left = {"\x1b[2J (1)"};
  const std::string text = as_text(findings, task(), false);
  CHECK(text.find('\x1b') == std::string::npos);
  for (std::size_t at = 0, end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    CHECK(end - at <= 100);
}

TEST_CASE("every fault has a word, and is found by it") {
  for (const Fault fault : all_faults) CHECK(fault_of(word(fault)) == fault);
  CHECK_FALSE(fault_of("none"));
}

}  // namespace
}  // namespace liveswap::verify
