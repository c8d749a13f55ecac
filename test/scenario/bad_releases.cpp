// Releases that do not deserve to serve: the upgrade is reverted, its text names the stage, and no client
// notices.
#include <doctest/doctest.h>

#include "support/connection.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

struct Bad {
  std::string release;
  std::string stage;
  std::string reason;
};

const Bad bad_releases[] = {
    {"crash_constructor", "stage link", "SIGSEGV"},
    {"crash_start", "stage start", "SIGSEGV"},
    {"throws", "stage start", "SIGABRT"},
    {"hang_constructor", "stage ready", "1000 ms"},
    {"never_ready", "stage ready", "1000 ms"},
    {"no_entry", "stage entry", "liveswap_main"},
    {"mangled", "stage entry", "liveswap_main"},
    {"wrong_abi", "stage abi", "found 2.7, expected 1.x"},
    {"short_abi", "stage abi", "damaged"},
    {"missing_symbol", "stage link", "function_that_nobody_defines"},
    {"missing_library", "stage link", "libliveswap-is-not-there.so.9"},
    {"return_0", "stage start", "0"},
    {"return_3", "stage start", "3"},
    {"return_late", "stage start", "4"},
    {"return_linger", "stage start", "liveswap_main returned 0"},
};

std::string in_lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void expect_revert(const Instance& app, const Bad& bad) {
  CAPTURE(bad.release);
  const auto good = fixture("version_v1");
  const auto finished = app.upgrade(fixture(bad.release));
  CAPTURE(finished.err);
  CHECK(finished.status == Exit::reverted);
  CHECK(contains(in_lower_case(finished.err), bad.stage));
  CHECK(contains(finished.err, bad.reason));
  CHECK(app.head() == good + "\n");
  CHECK(app.serves(good));
  CHECK(app.status()["last_upgrade"]["status"] == "reverted");
}

void survive_bad_releases(Scenario& scenario, const char* mode) {
  Instance app(scenario, fixture("version_v1"), {"--listen-mode", mode, "--ready-limit", "1s"});
  Load load(scenario, app.address());
  for (const Bad& bad : bad_releases) {
    // The address sanitizer does not find the C++ runtime of a library in a C program.
    if (!sanitized() || bad.release != "throws") expect_revert(app, bad);
  }
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(report.answers_of("v2") > 0);
}

// Server libraries do that on their way out. The socket is everybody's.
TEST_CASE_FIXTURE(Scenario, "a release that shuts the listener down harms the next one for a moment only") {
  for (const char* mode : {"reuseport", "shared"}) {
    Instance app(*this, fixture("shuts_down"), {"--listen-mode", mode});
    REQUIRE(app.upgrade(fixture("version_v1")).status == Exit::ok);
    for (int i = 0; i < 20; ++i) CHECK(contains(http_get(app.address()), "v1"));
  }
}

TEST_CASE_FIXTURE(Scenario, "bad releases, reuseport") { survive_bad_releases(*this, "reuseport"); }
TEST_CASE_FIXTURE(Scenario, "bad releases, shared") { survive_bad_releases(*this, "shared"); }

// These get ready, so the upgrade to them is a success; they must still make way for the next one.
void replace_stubborn(Scenario& scenario, const std::string& mode, const std::string& release) {
  CAPTURE(release);
  Instance app(scenario, fixture("version_v1"),
               {"--listen-mode", mode, "--drain-limit", "1s", "--term-grace", "300ms"});
  Load load(scenario, app.address());
  const auto there = app.upgrade(fixture(release));
  CHECK_MESSAGE(there.status == Exit::ok, there.err);
  const auto back = app.upgrade(fixture("version_v2"));
  CHECK_MESSAGE(back.status == Exit::ok, back.err);
  CHECK(contains(back.out + back.err, "force"));
  CHECK(app.serves(fixture("version_v2")));
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(report.answers_of("v2") > 0);
}

TEST_CASE_FIXTURE(Scenario, "a release that ignores its drain is ended, reuseport") {
  replace_stubborn(*this, "reuseport", "ignores_drain");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores its drain is ended, shared") {
  replace_stubborn(*this, "shared", "ignores_drain");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores SIGTERM is ended, reuseport") {
  replace_stubborn(*this, "reuseport", "ignores_term");
}
TEST_CASE_FIXTURE(Scenario, "a release that ignores SIGTERM is ended, shared") {
  replace_stubborn(*this, "shared", "ignores_term");
}
TEST_CASE_FIXTURE(Scenario, "a release that drains and never returns is ended") {
  replace_stubborn(*this, "reuseport", "stuck");
}

TEST_CASE_FIXTURE(Scenario, "a release that crashes while it drains is said to have done so") {
  Instance app(*this, fixture("crash_drain"));
  const auto finished = app.upgrade(fixture("version_v1"));
  CHECK(finished.status == Exit::ok);
  CHECK(contains(finished.out + finished.err, "SIGSEGV"));
  CHECK(app.serves(fixture("version_v1")));
}

}  // namespace
}  // namespace scenario
