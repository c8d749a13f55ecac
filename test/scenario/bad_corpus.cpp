// Every kind of bad release, in both listen modes and under load: no request is lost, HEAD stays, and the old
// release serves again.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>

#include "bad/corpus.hpp"
#include "support/load.hpp"

namespace scenario {
namespace {

using liveswap::test::bad_releases;
using liveswap::test::BadRelease;

std::string in_lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string file_of(const BadRelease& bad) { return fixture_file(std::string(bad.file)); }

// How long the revert took, from the moment at which the failure was found; 0: no worker had been touched.
long way_back(const Json& receipt) {
  long sum = 0;
  for (const auto& phase : receipt["phases"])
    if (phase["phase"] == "reverting") sum += phase["length_ms"].get<long>();
  return sum;
}

long expect_revert(const Instance& app, const BadRelease& bad) {
  CAPTURE(bad.name);
  const auto good = fixture("version_v1");
  const auto finished = app.upgrade(file_of(bad));
  CAPTURE(finished.err);
  // An upgrade to an unusable file does not even begin.
  const bool refused = bad.finder == liveswap::test::Finder::file;
  CHECK(finished.status == (refused ? Exit::refused : Exit::reverted));
  CHECK(contains(in_lower_case(finished.err), bad.finder == liveswap::test::Finder::probe
                                                  ? "health probe"
                                                  : "stage " + std::string(bad.stage)));
  CHECK(contains(finished.err, bad.says));
  CHECK(app.head() == good + "\n");
  CHECK(app.serves(good));
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  CHECK(receipt["outcome"] == (refused ? "refused" : "reverted"));
  for (const char* unknown : {"to", "plan", "slots"}) CHECK(receipt[unknown].is_null() == refused);
  CHECK(receipt["from"] == Json({{"path", good}, {"id", receipt["from"]["id"]}, {"generation", 1}}));
  return way_back(receipt);
}

void survive(Scenario& scenario, const char* mode) {
  Instance app(scenario, fixture("version_v1"),
               {"--listen-mode", mode, "--ready-limit", "1s", "--check-limit", sanitized() ? "4s" : "1s",
                "--probation", "1s", "--health", "GET /", "--health-interval", "200ms", "--health-limit",
                "300ms", "--drain-limit", "1s", "--term-grace", "200ms"});
  Load load(scenario, app.address());
  long longest = 0;
  std::size_t kinds = 0;
  for (const BadRelease& bad : bad_releases) {
    if (sanitized() && sanitizer_hides(bad)) continue;
    longest = std::max(longest, expect_revert(app, bad));
    ++kinds;
  }
  CHECK(app.status()["generation"] == 1);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(report.answers_of("v2") > 0);
  MESSAGE(mode, ": ", kinds, " kinds of bad releases, ", report.attempts(), " attempts, ", report.failures(),
          " failed; the longest way back took ", longest, " ms from the detection");
}

TEST_CASE_FIXTURE(Scenario, "every kind of bad release, reuseport") { survive(*this, "reuseport"); }
TEST_CASE_FIXTURE(Scenario, "every kind of bad release, shared") { survive(*this, "shared"); }

}  // namespace
}  // namespace scenario
