// Whether `check` recognises a liveswap_main that can only return at once.
#include "check/findings.hpp"
#include "checked.hpp"

using namespace liveswap;
using namespace liveswap::checks;
using namespace liveswap::test;

namespace {

ElfFile application() {
  ElfFile file;
  file.has_symbols = true;
  file.entry = ElfFile::Entry::function;
  file.needed = {"libstdc++.so.6", "libm.so.6", "libc.so.6"};
  return file;
}

}  // namespace

TEST_CASE("wait: a liveswap_main that calls nothing that can wait is a warning") {
  const CheckReport report = checked(CHECK_FIXTURES "/libreturns.so");
  CAPTURE(listed(report.findings));
  // A sanitizer's runtime has functions that can wait.
  if (!sanitized()) CHECK(count(report.findings, Level::warning, "returns", "would return at once") == 1);
  CHECK(report.count(Level::error) == 0);
}

TEST_CASE("wait: an application that waits, by itself or by a library, is none") {
  CHECK(count(checked(FIXTURES "/libversion_v1.so").findings, Level::warning, "returns") == 0);
  ElfFile file = application();
  CHECK(wait_findings(file).size() == 1);
  file.waits = true;
  CHECK(wait_findings(file).empty());
  file.waits = false;
  file.needed.push_back("libuv.so.1");
  CHECK(wait_findings(file).empty());
}

TEST_CASE("wait: what cannot be told is no warning") {
  ElfFile file = application();
  file.go = true;
  CHECK(wait_findings(file).empty());
  file = application();
  file.has_symbols = false;
  CHECK(wait_findings(file).empty());
  file = application();
  file.entry_name = "main";
  CHECK(wait_findings(file).empty());
}
