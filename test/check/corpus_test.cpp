// `check` finds each bad release of the corpus that can be found without a server.
#include "../fixtures/bad/corpus.hpp"

#include "checked.hpp"

using namespace liveswap;
using namespace liveswap::test;
using namespace std::chrono_literals;

namespace {

// Whether a finding of this kind belongs to the corpus's stage.
bool fits(std::string_view kind, const BadRelease& bad) {
  if (bad.stage != "link") return kind == bad.stage;
  return kind == "load" || kind.rfind("missing_", 0) == 0;
}

}  // namespace

TEST_CASE("each bad release that is there to be found has an error at its stage, with its text") {
  for (const BadRelease& bad : bad_releases) {
    if (sanitized() && sanitizer_hides(bad)) continue;
    CAPTURE(bad.name);
    const bool hangs = bad.finder == Finder::preflight && bad.says.empty();
    const CheckReport report = checked(FIXTURES "/" + std::string(bad.file),
                                       {.limit = hangs ? Milliseconds(300) : Milliseconds(20'000)});
    CAPTURE(listed(report.findings));
    REQUIRE_FALSE(report.findings.empty());
    if (bad.finder != Finder::file && bad.finder != Finder::preflight) {
      CHECK(report.count(Level::error) == 0);
      continue;
    }
    CHECK(report.findings.front().level == Level::error);
    CHECK(std::any_of(report.findings.begin(), report.findings.end(), [&](const CheckFinding& finding) {
      return finding.level == Level::error && fits(finding.kind, bad) &&
             (finding.text + report.output).find(bad.says) != std::string::npos;
    }));
  }
}

TEST_CASE("everything that the loader misses is listed, not just the first of it, and each once") {
  const CheckReport report = checked(FIXTURES "/bad/libmissing_everything.so");
  CAPTURE(listed(report.findings));
  CHECK(count(report.findings, Level::error, "missing_library") == 2);
  for (const char* library : {"libliveswap-is-not-there.so.9", "libliveswap-is-gone-too.so.1"})
    CHECK(count(report.findings, Level::error, "missing_library", library) == 1);
  for (const char* symbol : {"function_one_of_nobody", "function_two_of_nobody", "variable_of_nobody"})
    CHECK(count(report.findings, Level::error, "missing_symbol", symbol) == 1);
  CHECK(report.count(Level::error) == 2 + 5);

  const CheckReport versions = checked(FIXTURES "/bad/libmissing_version.so");
  CAPTURE(listed(versions.findings));
  CHECK(count(versions.findings, Level::error, "missing_version", "GLIBC_9.") ==
        versions.count(Level::error));
}
