// The findings that are made of the loader's text and of a trial's result, without running either.
#include "check/findings.hpp"

#include <signal.h>

#include "checked.hpp"

using namespace liveswap;
using namespace liveswap::checks;
using namespace liveswap::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* path = "/srv/libapp.so";

Trial passed() {
  Trial trial;
  trial.stage = LIVESWAP_STAGE_ABI;
  trial.passed = true;
  return trial;
}

CheckFinding only_error(const Trial& trial) {
  const Findings findings = trial_findings(path, trial, 30s);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].level == Level::error);
  return findings[0];
}

}  // namespace

TEST_CASE("names: those of C++ are found, and one that stands for gigabytes keeps none of the others") {
  const std::string bomb =
      "_Z1fPK1PIS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IS_IiiES0_ES1_ES2_"
      "ES3_ES4_ES5_ES6_ES7_"
      "ES8_ES9_ESA_ESB_ESC_ESD_ESE_ESF_ESG_ESH_ESI_ESJ_ESK_ESL_ESM_ESN_ESO_ESP_E";
  const Names names =
      demangled({"_Z3fooi", bomb, "i", "_Z", "_Z3barv", std::string("_Z") + std::string(100'000, 'P')}, 20s);
  CHECK(names == Names{{"_Z3fooi", "foo(int)"}, {"_Z3barv", "bar()"}});
  CHECK(demangled({"_Z3fooi"}, 0ms).empty());
  CHECK(demangled({}, 1s).empty());
}

TEST_CASE("link: names are made readable, and whose they are is said where it is another library") {
  const Findings findings = link_findings(path,
                                          "\tlinux-vdso.so.1 (0x00007f3bdc682000)\n"
                                          "\t/srv/libapp.so (0x00007f3bdc675000)\n"
                                          "undefined symbol: _Z3fooi\t(/srv/libapp.so)\n"
                                          "undefined symbol: _Z3fooi\t(/srv/libapp.so)\n"
                                          "undefined symbol: i\t(/usr/lib/libdep.so.2)\n"
                                          "undefined symbol: liveswap_teleport\t(/srv/libapp.so)\n",
                                          false, {{"_Z3fooi", "foo(int)"}});
  CAPTURE(listed(findings));
  CHECK(findings.size() == 3);
  CHECK(count(findings, Level::error, "missing_symbol", "nothing defines foo(int) (_Z3fooi)") == 1);
  CHECK(count(findings, Level::error, "missing_symbol", "nothing defines i, which libdep.so.2 needs") == 1);
  const auto newer = std::find_if(findings.begin(), findings.end(), [](const CheckFinding& finding) {
    return finding.text.find("teleport") != std::string::npos;
  });
  REQUIRE(newer != findings.end());
  CHECK(newer->advice.find("upgrade liveswap") != std::string::npos);
}

TEST_CASE("link: symbols of a version that is missing are not listed one by one") {
  const Findings findings = link_findings(path,
                                          "host: /lib/libc.so.6: version `GLIBC_2.99' not found (required by "
                                          "/srv/libapp.so)\n"
                                          "undefined symbol: recv, version GLIBC_2.99\t(/srv/libapp.so)\n"
                                          "undefined symbol: send, version GLIBC_2.98\t(/srv/libapp.so)\n",
                                          false);
  CAPTURE(listed(findings));
  CHECK(findings.size() == 2);
  CHECK(count(findings, Level::error, "missing_version",
              "/lib/libc.so.6 is of another version than expected: "
              "GLIBC_2.99") == 1);
  CHECK(count(findings, Level::error, "missing_symbol", "send") == 1);
}

TEST_CASE("link: a library that LD_LIBRARY_PATH may have is told how to get there") {
  const std::string output = "\tlibx.so => not found\n\tlibx.so => not found\n";
  CHECK(link_findings(path, output, true).size() == 1);
  CHECK(link_findings(path, output, true)[0].advice.find("--env LD_LIBRARY_PATH") != std::string::npos);
  CHECK(link_findings(path, output, false)[0].advice.find("--env") == std::string::npos);
}

TEST_CASE("link: nothing that the loader says is nothing that is known") {
  CHECK(link_findings(path, "", false).empty());
  CHECK(link_findings(path, "\n\n\t(\nundefined symbol: \n", false).size() == 1);
  CHECK(link_findings(path, "\tlibc.so.6 => /lib/libc.so.6 (0x00007f3bdc488000)\n", false)[0].level ==
        Level::fine);
}

TEST_CASE("trial: where it ended, and how") {
  Trial trial;
  trial.stage = LIVESWAP_STAGE_LINK;
  trial.end.how = ChildEnd::How::killed;
  trial.end.number = SIGSEGV;
  CHECK(only_error(trial).text == "a constructor died of SIGSEGV");
  trial.stage = LIVESWAP_STAGE_SELFTEST;
  CHECK(only_error(trial).text == "liveswap_selftest died of SIGSEGV");
  CHECK(only_error(trial).kind == "selftest");
  trial.end.how = ChildEnd::How::overdue;
  CHECK(only_error(trial).text == "liveswap_selftest has not returned within 30000 ms");
  trial.end.how = ChildEnd::How::exited;
  trial.end.number = 127;
  trial.stage = LIVESWAP_STAGE_LINK;
  CHECK(only_error(trial).text == "a constructor ended the process by exit, status 127");
  trial.end.output = "something\nInconsistency detected by ld.so: oh!\n";
  CHECK(only_error(trial).text ==
        "the dynamic loader ended the process by exit: Inconsistency detected by ld.so: oh!");
}

TEST_CASE("trial: what it wrote last") {
  Trial trial;
  trial.stage = LIVESWAP_STAGE_SELFTEST;
  trial.end.how = ChildEnd::How::killed;
  trial.end.number = SIGABRT;
  trial.log = {"logged"};
  CHECK(only_error(trial).text == "liveswap_selftest died of SIGABRT; the last it said: logged");
  trial.end.output = "one\nno \x1b licence\n\n";
  CHECK(only_error(trial).text == "liveswap_selftest died of SIGABRT; it wrote last: no \\x1b licence");
  trial.log.clear();
  trial.failure = "liveswap_selftest returned 7; expected 0";
  CHECK(only_error(trial).text == trial.failure + "; it wrote last: no \\x1b licence");
}

TEST_CASE("trial: what the host says comes first, with the path") {
  Trial trial;
  trial.stage = LIVESWAP_STAGE_LINK;
  trial.failure = "libgone.so: cannot open shared object file";
  CHECK(only_error(trial).text == "/srv/libapp.so: libgone.so: cannot open shared object file");
  trial.failure = "/srv/libapp.so is empty";
  CHECK(only_error(trial).text == "/srv/libapp.so is empty");
}

TEST_CASE("trial: passed, with a self-test or without") {
  Trial trial = passed();
  trial.load = 1234us;
  Findings findings = trial_findings(path, trial, 30s);
  CHECK(count(findings, Level::fine, "load", "it loads in 1.2 ms") == 1);
  CHECK(count(findings, Level::fine, "selftest", "no self-test") == 1);
  trial.stage = LIVESWAP_STAGE_SELFTEST;
  trial.selftest = 1234567us;
  findings = trial_findings(path, trial, 30s);
  CHECK(count(findings, Level::fine, "selftest", "passes in 1234 ms") == 1);
  CHECK(findings.size() == 2);
}

TEST_CASE("elf: notes of another contract, damaged ones, and the flag") {
  ElfFile file;
  file.has_symbols = true;
  file.entry = ElfFile::Entry::function;
  file.abi_note = {12, 2, 7, 0};
  CHECK(count(elf_findings(path, file, {}), Level::error, "abi", "found 2.7, expected 1.x") == 1);
  file.abi_note = {4, 1, 0, 0};
  CHECK(count(elf_findings(path, file, {}), Level::error, "abi", "found 4 bytes, expected at least 12") == 1);
  file.abi_note = {16, 1, 3, 1};
  CHECK(count(elf_findings(path, file, {}), Level::fine, "abi", "contract 1.3, and says itself when") == 1);
}

TEST_CASE("elf: of many names the first three are shown") {
  ElfFile file;
  file.unique = {"_ZZNSt8__detail18__waiter_pool_base6_S_forEPKvE3__w", "_ZGVNSt3fooE"};
  CHECK(elf_findings(path, file, {}, demangled(file.unique, 20s)).empty());  // the standard library's own
  file.unique = {"a", "b", "c", "d", "e"};
  CHECK(count(elf_findings(path, file, {}), Level::warning, "unique_symbols",
              "5 STB_GNU_UNIQUE symbols (a, b, c and 2 "
              "more)") == 1);
}
