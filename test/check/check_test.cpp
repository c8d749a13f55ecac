#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "checked.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;
using namespace std::chrono_literals;

namespace {

CheckReport checked_own(const std::string& name, const CheckOptions& options = {}) {
  return checked(CHECK_FIXTURES "/lib" + name + ".so", options);
}

void warns(const std::string& name, const std::string& kind, const std::string& part, std::size_t times = 1) {
  const CheckReport report = checked_own(name);
  CAPTURE(listed(report.findings));
  CHECK(report.count(Level::error) == 0);
  CHECK(count(report.findings, Level::warning, kind, part) == times);
  CHECK(report.count(Level::warning) == times);
}

pid_t number_in(const std::string& text) {
  const auto at = text.find_first_of("0123456789");
  return at == std::string::npos ? 0 : static_cast<pid_t>(std::stol(text.substr(at)));
}

}  // namespace

TEST_CASE("a good library is fine, and says why") {
  const CheckReport report = checked(FIXTURES "/libversion_v1.so");
  CAPTURE(listed(report.findings));
  CHECK(report.count(Level::fine) == report.findings.size());
  for (const char* kind : {"entry", "abi", "link", "load", "selftest"})
    CHECK(count(report.findings, Level::fine, kind) == 1);
  CHECK(report.output.empty());
}

TEST_CASE("the path may be relative, and need not be there") {
  const CheckReport report = checked("no/such/lib.so");
  CHECK(report.path == std::filesystem::current_path().string() + "/no/such/lib.so");
  CHECK(report.count(Level::error) == 1);
  CHECK(count(report.findings, Level::error, "open", "No such file or directory") == 1);
}

TEST_CASE("what will bite is a warning") {
  warns("executable_stack", "executable_stack", "executable stack");
  warns("static_tls", "static_tls", "4 bytes");
  warns("unique", "unique_symbols", "1 STB_GNU_UNIQUE symbol (Counted<int>::count)");
  warns("relative_path", "relative_path", "\"lib/private\"");
#ifdef __x86_64__
  warns("text_relocations", "text_relocations", "text relocations");
#endif
}

TEST_CASE("exit handlers that block, crash or change the status are warnings") {
  const auto begin = std::chrono::steady_clock::now();
  const CheckReport report = checked(FIXTURES "/libreturn_linger.so");
  CHECK(std::chrono::steady_clock::now() - begin < 15s);  // and not the limit for loading
  CHECK(count(report.findings, Level::warning, "exit", "had not ended 2000 ms after the check") == 1);
  warns("exit_crash", "exit", "died of SIGSEGV");
  warns("exit_status", "exit", "made the exit status 3");
}

TEST_CASE("threads that were left running are counted") {
  warns("threads", "threads", "left 2 threads running");
}

TEST_CASE("processes that were left running are named; those of the group are ended") {
  const CheckReport report = checked_own("process");
  CAPTURE(listed(report.findings));
  REQUIRE(count(report.findings, Level::warning, "processes",
                "(lsw:check libpr) running, which has been killed") == 1);
  const pid_t pid = number_in(report.findings.front().text);
  REQUIRE(pid > 1);
  // check() has killed the process; its parent reaps it a moment later.
  for (int i = 0; i < 2000 && kill(pid, 0) == 0; ++i) usleep(1000);
  CHECK(kill(pid, 0) != 0);
}

TEST_CASE(
    "a daemon, which has left group and session and holds no descriptor of the check, is named and ended") {
  const CheckReport report = checked_own("daemon");
  CAPTURE(listed(report.findings));
  REQUIRE(count(report.findings, Level::warning, "processes",
                "in a group of its own, which has been killed") == 1);
  const pid_t pid = number_in(report.findings.front().text);
  REQUIRE(pid > 1);
  CHECK(kill(pid, 0) != 0);
  CHECK(errno == ESRCH);
}

TEST_CASE("the limit is kept, however much the library writes meanwhile") {
  const auto begin = std::chrono::steady_clock::now();
  const CheckReport report = checked_own("flood", {.limit = 300ms});
  CAPTURE(listed(report.findings));
  CHECK(count(report.findings, Level::error, "load", "a constructor has not returned within 300 ms") == 1);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a name that would become gigabytes is left as it is") {
  const auto begin = std::chrono::steady_clock::now();
  const CheckReport report = checked_own("name");
  CAPTURE(listed(report.findings));
  CHECK(count(report.findings, Level::error, "missing_symbol", "nothing defines _Z1fPK1PIS_IS_") == 1);
  CHECK(report.findings.front().text.size() < 1'000);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("private libraries: beside it they are fine, elsewhere the store cannot keep them") {
  const CheckReport beside = checked_own("origin");
  CAPTURE(listed(beside.findings));
  CHECK(beside.count(Level::error) == 0);
  CHECK(count(beside.findings, Level::fine, "origin", "libprivate.so through $ORIGIN") == 1);

  const CheckReport outside = checked(CHECK_FIXTURES "/inner/liboutside.so");
  CAPTURE(listed(outside.findings));
  CHECK(count(outside.findings, Level::error, "origin",
              CHECK_FIXTURES "/libprivate.so is found through $ORIGIN") == 1);
  CHECK(outside.count(Level::error) == 1);
}

TEST_CASE("an entry that is hidden is told from one that is not there") {
  CHECK(count(checked_own("hidden").findings, Level::error, "entry", "it has a hidden or static one") == 1);
  CHECK(count(checked(FIXTURES "/libno_entry.so").findings, Level::error, "entry", "liveswap_main; ") == 0);
  CHECK(count(checked(FIXTURES "/libmangled.so").findings, Level::error, "entry",
              "a C++ function of that name") == 1);
}

TEST_CASE("the self-test gets arguments and environment; what it says goes along") {
  const CheckReport report = checked(FIXTURES "/bad/libselftest_fails.so");
  CHECK(count(report.findings, Level::error, "selftest",
              "returned 7; expected 0; the last it said: the licence") == 1);
  CHECK(report.output == "liveswap_log: the licence has run out\n");
}

TEST_CASE("a limit that passes ends what hangs, within it") {
  const auto begin = std::chrono::steady_clock::now();
  const CheckReport report = checked(FIXTURES "/bad/libselftest_hangs.so", {.limit = 200ms});
  CHECK(count(report.findings, Level::error, "selftest", "has not returned within 200 ms") == 1);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a path with a blank: the loader cannot be asked, the rest is done") {
  const TempDir directory;
  const std::string path = directory / "a b.so";
  std::filesystem::copy_file(FIXTURES "/libmissing_symbol.so", path);
  const CheckReport report = checked(path);
  CAPTURE(listed(report.findings));
  CHECK(count(report.findings, Level::warning, "link", "blank or colon") == 1);
  CHECK(count(report.findings, Level::error, "load", "function_that_nobody_defines") == 1);
}

TEST_CASE("a library without section headers is fine, too") {
  const TempDir directory;
  const std::string path = directory / "lib.so";
  std::filesystem::copy_file(FIXTURES "/libversion_v1.so", path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(40);  // e_shoff
  file.write("\0\0\0\0\0\0\0\0", 8);
  file.close();
  const CheckReport report = checked(path);
  CAPTURE(listed(report.findings));
  CHECK(report.count(Level::error) == 0);
  CHECK(count(report.findings, Level::fine, "entry") == 0);  // only a loaded library has an entry
  CHECK(count(report.findings, Level::fine, "load") == 1);
}

TEST_CASE("where root is the master, a file that others may change is a warning") {
  if (geteuid() != 0) return;
  const TempDir directory;
  const std::string path = directory / "lib.so";
  std::filesystem::copy_file(FIXTURES "/libversion_v1.so", path);
  REQUIRE(chmod(path.c_str(), 0664) == 0);
  CHECK(count(checked(path).findings, Level::warning, "trust", "mode 0664") == 1);
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  REQUIRE(chown(path.c_str(), 65534, 0) == 0);
  CHECK(count(checked(path).findings, Level::warning, "trust", "user 65534, expected root") == 1);
}

TEST_CASE("without a worker host there is one error, which says where it was looked for") {
  const CheckReport report = check(FIXTURES "/libversion_v1.so", {.worker_host = "/no/such/host"});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].text.find("looked at /no/such/host") != std::string::npos);
}
