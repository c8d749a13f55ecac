// `liveswap verify` as a user calls it: a good application passes, a bad one fails, and nothing is left
// behind, however the run ends.
#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>

#include "support/file.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"

namespace scenario {
namespace {

std::string own(const std::string& name) { return VERIFY_FIXTURES "/lib" + name + ".so"; }

// The temporary files lie in a directory of the test, so that files left behind can be seen.
struct Verification : Scenario {
  std::string place = dir.directory("place");

  Process::Setup setup(const Words& words) const {
    return {Words{liveswap_program(), "verify", "--seconds-before", "700ms", "--ready-limit", "1s"} + words,
            {{"TMPDIR", place}}};
  }
  Finished verify(const Words& words) {
    auto finished = run(dir, setup(words), 2 * patience);
    CAPTURE(finished.err);
    CHECK(nothing_is_left());
    show_on_failure("the report", finished.out + finished.err);
    return finished;
  }
  bool nothing_is_left() const { return std::filesystem::is_empty(place); }
};

// The report's part about a phase.
Json phase_of(const Json& report, const std::string& name) {
  for (const auto& one : report["phases"])
    if (one["name"] == name) return one;
  FAIL("the report has no phase ", name);
  return {};
}

TEST_CASE_FIXTURE(Verification, "a good application passes, quickly") {
  const auto begun = Clock::now();
  const auto finished =
      verify({"--upgrades", "4", "--faults",
              "crash-at-load,crash-at-start,hang-at-load,never-ready,returns-at-once,slow-drain,"
              "killed-worker",
              fixture("version_v1"), fixture("version_v2")});
  CHECK(finished.status == Exit::ok);
  CHECK(contains(finished.out, "4 of 4 done"));
  CHECK(contains(finished.out, "PASSED"));
  CHECK_FALSE(contains(finished.out, "FAILED"));
  CHECK(Clock::now() - begun < std::chrono::seconds(sanitized() ? 60 : 15));
}

TEST_CASE_FIXTURE(Verification, "a server that binds its own listener is asked there") {
  const Port own_port;
  const auto port = own_port.text();
  const auto finished = verify({"--entry", "main", "--upgrades", "1", "--faults", "none", "--clients", "2",
                                server_sample("threads"), "--", port});
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(finished.err, "workers serve on 127.0.0.1:" + port));
}

TEST_CASE_FIXTURE(Verification, "the report as JSON: every figure, and nothing else on stdout") {
  const auto finished =
      verify({"--json", "--upgrades", "2", "--faults", "crash-at-load", fixture("version_v1")});
  CHECK(finished.status == Exit::ok);
  const auto report = Json::parse(finished.out, nullptr, false);
  REQUIRE(report.is_object());
  CHECK(report["passed"] == true);
  CHECK(report["upgrades"].size() == 2);
  CHECK(report["faults"][0]["fault"] == "crash-at-load");
  CHECK(phase_of(report, "before")["requests"] > 100);
  CHECK(phase_of(report, "upgrades")["requests"] > 100);
  CHECK(phase_of(report, "crash-at-load")["p99_to_before"].is_number());
  CHECK(report["total"]["classes"]["ok"] == report["total"]["requests"]);
}

TEST_CASE_FIXTURE(Verification,
                  "requests that die with a killed worker are told from those that an upgrade has lost") {
  // A hundred requests a second that take one second each: many are unanswered whenever the worker is killed.
  const auto finished = verify({"--json", "--path", "/slow", "--clients", "4", "--upgrades", "1", "--faults",
                                "killed-worker", fixture("version_v1")});
  CHECK(finished.status == Exit::ok);
  const auto report = Json::parse(finished.out, nullptr, false);
  REQUIRE(report.is_object());
  CHECK(report["total"]["failed"] == 0);
  CHECK(report["total"]["lost_with_killed_worker"] > 5);
  CHECK(report["faults"][0]["ok"] == true);
}

TEST_CASE_FIXTURE(Verification, "a server that speaks no HTTP") {
  const auto finished =
      verify({"--connect", "--upgrades", "2", "--faults", "slow-drain,killed-worker", sample("echo")});
  CHECK(finished.status == Exit::ok);
}

TEST_CASE_FIXTURE(Verification,
                  "an application that drops its connections when it is to drain is found out") {
  const auto finished = verify({"--upgrades", "4", "--faults", "slow-drain", own("drops")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.out, "FAILED:\n"));
  CHECK(contains(finished.out, "in upgrades: "));
  CHECK(contains(finished.out, "slow-drain: expected the worker waits and answers, found"));
}

TEST_CASE_FIXTURE(Verification, "a second version that crashes is found out, and the first one serves on") {
  const auto finished = verify({"--json", "--upgrades", "3", "--faults", "crash-at-load",
                                fixture("version_v1"), fixture("crash_start")});
  CHECK(finished.status == Exit::failed);
  const auto report = Json::parse(finished.out, nullptr, false);
  REQUIRE(report.is_object());
  CHECK(contains(report["problems"].dump(), "crash_start.so failed: slot 0"));
  CHECK(contains(report["problems"].dump(), "SIGSEGV"));
  CHECK(report["upgrades"].size() == 1);
  CHECK(report["total"]["failed"] == 0);
}

TEST_CASE_FIXTURE(Verification, "a second version that crashes while it serves is found out") {
  const auto finished =
      verify({"--upgrades", "1", "--faults", "none", fixture("version_v1"), own("crash_later")});
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.out, "FAILED:\n"));
}

TEST_CASE_FIXTURE(Verification, "an application that does not even start is told apart, with its log") {
  const auto finished = verify({fixture("return_3")});
  CHECK(finished.status == Exit::failed);
  CHECK(finished.out.empty());
  CHECK(contains(finished.err, "liveswap start ended"));
  CHECK(contains(finished.err, "liveswap_main returned 3"));
}

// Scenario checks that no process is left.
TEST_CASE_FIXTURE(Verification, "what the application has left behind is ended, and told") {
  const auto finished = verify({"--upgrades", "1", "--faults", "none", own("leaves")});
  CHECK(contains(finished.out, "left behind by the application, and killed: "));
}

TEST_CASE_FIXTURE(Verification, "what makes no sense is refused before anything is started") {
  const Words wrong[] = {{},
                         {"/is/not/there.so"},
                         {fixture("version_v1"), "--faults", "crash-at-load,fire"},
                         {fixture("version_v1"), "--path", "no-slash"},
                         {fixture("version_v1"), "--clients", "0"},
                         {fixture("version_v1"), "--port", "3000"},
                         {fixture("version_v1"), fixture("version_v2"), fixture("version_v3")}};
  for (const Words& words : wrong) CHECK(verify(words).status == Exit::usage);
}

// At several moments: while verify starts, measures, upgrades, or waits for a release that hangs.
TEST_CASE_FIXTURE(Verification, "a signal leaves nothing behind, whenever it comes") {
  struct Moment {
    int signal;
    const char* said;
  };
  const Moment moments[] = {
      {SIGINT, ""}, {SIGINT, "clients have answers"}, {SIGTERM, "upgrade  1"}, {SIGHUP, "crash-at-load"}};
  for (const Moment& moment : moments) {
    CAPTURE(moment.said);
    Process process(dir, setup({"--upgrades", "2", "--faults", "crash-at-load,hang-at-load,slow-drain",
                                fixture("version_v1")}));
    if (*moment.said) REQUIRE(process.says(moment.said));
    else REQUIRE(eventually([&] { return !proc::descendants(process.pid()).empty(); }));
    const auto descendants = proc::descendants(process.pid());
    process.signal(moment.signal);
    process.signal(moment.signal);
    const auto finished = process.wait();
    CHECK(finished.status == 128 + moment.signal);
    CHECK(contains(finished.err, "everything is stopped and removed"));
    CHECK(nothing_is_left());
    for (const pid_t pid : descendants) CHECK_FALSE(proc::runs(pid));
  }
}

// In the middle of an upgrade: its old workers would serve until the drain limit.
TEST_CASE_FIXTURE(Verification, "a signal does not wait for an application that does not drain") {
  Process process(
      dir, setup({"--upgrades", "1", "--faults", "none", "--drain-limit", "1m", fixture("ignores_drain")}));
  REQUIRE(process.says("clients have answers"));
  REQUIRE(eventually([&] { return proc::descendants(process.pid()).size() >= 4; }));
  const auto descendants = proc::descendants(process.pid());
  process.signal(SIGINT);
  CHECK(process.wait(milliseconds(10'000)).status == 128 + SIGINT);
  CHECK(nothing_is_left());
  for (const pid_t pid : descendants) CHECK_FALSE(proc::runs(pid));
}

// The directory stays, because no process is left that could remove it.
TEST_CASE_FIXTURE(Verification, "the application does not outlive a verification that is killed") {
  Process process(dir, setup({"--upgrades", "1", "--faults", "none", fixture("version_v1")}));
  REQUIRE(process.says("clients have answers"));
  const auto descendants = proc::descendants(process.pid());
  CHECK(descendants.size() >= 3);
  process.signal(SIGKILL);
  process.wait();
  for (const pid_t pid : descendants) CHECK(eventually([&] { return !proc::runs(pid); }));
}

TEST_CASE_FIXTURE(Verification, "a library that is overwritten in place harms nobody") {
  const auto finished = verify({"--upgrades", "1", "--faults", "overwrite", fixture("version_v1")});
  CHECK(finished.status == Exit::ok);
}

TEST_CASE_FIXTURE(Verification, "a program, a script and a directory, with all faults" *
                                    doctest::skip(sanitized() || !std::filesystem::exists("/usr/bin/perl"))) {
  std::string server = read_file(PROGRAM_SOURCES "/http.pl");
  for (auto at = server.find("VERSION"); at != std::string::npos; at = server.find("VERSION", at))
    server.replace(at, 7, "v1");
  std::filesystem::create_directory(dir / "app");
  for (const std::string name : {"server.pl", "app/server.pl", "app/other.pl"})
    write_file(dir / name, server);
  for (const Words& what : {Words{PROGRAMS "/poll_v1"}, Words{dir / "server.pl"},
                            Words{"--start-file", "server.pl", dir / "app/"}}) {
    CAPTURE(what.back());
    const Port own_port;
    const auto finished =
        verify(Words{"--json", "--upgrades", "2", "--clients", "4"} + what + Words{"--", own_port.text()});
    CHECK_MESSAGE(finished.status == Exit::ok, finished.out, finished.err);
    const auto report = Json::parse(finished.out, nullptr, false);
    REQUIRE(report.is_object());
    CHECK(report["total"]["failed"] == 0);
    CHECK(report["faults"].size() == 8);
  }
}

}  // namespace
}  // namespace scenario
