// The findings of `check` about existing servers, built as libraries with real dependencies. None is run.
#include <fstream>
#include <set>

#include "check/findings.hpp"
#include "check/names.hpp"
#include "checked.hpp"

using namespace liveswap;
using namespace liveswap::checks;
using namespace liveswap::test;

namespace {

CheckReport program(const std::string& name) {
  return checked(CHECK_FIXTURES "/servers/libserver_" + name + ".so", {.entry = "main"});
}

// Exactly one finding has this level, kind and text, and no other finding is a warning or an error.
void says(const std::string& name, Level level, const std::string& kind, const std::string& part) {
  const CheckReport report = program(name);
  CAPTURE(name);
  CAPTURE(listed(report.findings));
  CHECK(count(report.findings, level, kind, part) == 1);
  CHECK(report.count(Level::error) == 0);
  CHECK(report.count(Level::warning) == (level == Level::warning ? 1 : 0));
}

// The interposed functions: all that the worker host exports, except the contract of liveswap_plugin.h.
std::set<std::string> interposed() {
  std::ifstream list(WORKER_LIST);
  std::set<std::string> names;
  for (std::string line; std::getline(list, line);)
    if (line.starts_with("  ") && line.ends_with(";") && !line.starts_with("  liveswap_"))
      names.insert(line.substr(2, line.size() - 3));
  return names;
}

}  // namespace

TEST_CASE("server: its main is the entry, and its listeners are taken over") {
  says("plain", Level::fine, "entry", "exports the function main");
  says("plain", Level::fine, "listeners", "of its own: liveswap takes them over, and drains it from outside");
  says("drains", Level::fine, "listeners", "it drains by itself");
  says("by_library", Level::fine, "listeners", "of its own, by libbinder.so: ");
}

TEST_CASE("server: without --entry main, what there is instead is said") {
  const CheckReport exported = checked(CHECK_FIXTURES "/servers/libserver_plain.so");
  REQUIRE(count(exported.findings, Level::error, "entry", "liveswap_main; it exports main") == 1);
  CHECK(exported.count(Level::error) == 1);
  CHECK(exported.findings[0].advice.find("add --entry main") == 0);

  const CheckReport hidden = checked(CHECK_FIXTURES "/servers/libserver_hidden.so");
  REQUIRE(count(hidden.findings, Level::error, "entry", "liveswap_main; it has a main, which is hidden") ==
          1);
  CHECK(hidden.findings[0].advice.find("-fvisibility=default") != std::string::npos);

  const CheckReport asked = program("hidden");
  REQUIRE(count(asked.findings, Level::error, "entry",
                "does not export the function main; it has a hidden") == 1);
  CHECK(asked.count(Level::error) == 1);
  CHECK(asked.findings[0].advice.find("-fvisibility=default") != std::string::npos);

  const CheckReport plugin = checked(FIXTURES "/libversion_v1.so", {.entry = "main"});
  CHECK(count(plugin.findings, Level::error, "entry", "does not export the function main") == 1);
}

TEST_CASE("server: what would be refused is a warning") {
  says("daemon", Level::warning, "daemon", "a daemon of itself (daemon), which is refused");
  says("session", Level::warning, "daemon", "(fork, setsid)");
  says("prefork", Level::warning, "prefork", "(fork)");
  says("each", Level::warning, "prefork", "(fork)");
  CHECK(count(program("each").findings, Level::fine, "forks",
              "a process for each connection (fork beside accept)") == 1);
  CHECK(count(program("prefork").findings, Level::fine, "forks") == 0);
  says("spawns", Level::fine, "listeners", "");  // a program that starts other programs is no prefork server
}

TEST_CASE("server: system calls that pass the C library by are a warning, io_uring is none") {
  says("go", Level::warning, "raw_calls", "there is Go in it");
  says("none", Level::warning, "listeners", "neither it nor a library");
  says("uring", Level::fine, "io_uring", "it can use io_uring: ");
}

TEST_CASE("server: names of the C library that it defines itself") {
  says("own_names", Level::warning, "own_names", "it exports listen of its own");
  says("symbolic", Level::warning, "own_names",
       "it calls listen of its own in place of the C library's (-Bsymbolic)");
  says("hidden_names", Level::warning, "own_names",
       "it calls listen of its own in place of the C library's: ");
  says("static_names", Level::fine, "listeners", "");  // static functions: no other library can call them
}

TEST_CASE("server: the names that are looked for are those that the worker host has") {
  const std::set<std::string> known(interposed_functions().begin(), interposed_functions().end());
  const std::set<std::string> there = interposed();
  CHECK(there.size() > 20);
  for (const std::string& name : there)
    CHECK_MESSAGE(known.count(name) == 1, name, " is missing in interposed_functions()");
  for (const std::string& name : known)
    CHECK_MESSAGE(there.count(name) == 1, name, " is not in worker.list any more");
}

TEST_CASE("server: a function that the worker host has is noticed in a library that defines its own") {
  for (const auto name : interposed_functions()) CHECK_MESSAGE(is_server_function(name), name);
  CHECK_FALSE(is_server_function("printf"));
}

TEST_CASE("server: a program that was not built as a library is told how to") {
  const CheckReport report = checked(CHECK_FIXTURES "/servers/program", {.entry = "main", .kind = "plugin"});
  CAPTURE(listed(report.findings));
  REQUIRE(report.count(Level::error) == 1);
  CHECK(count(report.findings, Level::error, "load", "is a program (PIE); expected a shared library") == 1);
  CHECK(report.findings[0].advice.find("-shared in place of -pie") != std::string::npos);
}

TEST_CASE("server: libraries that come with others are named only where no nearer one is it") {
  ElfFile file, binder;
  file.has_symbols = true;
  file.entry_name = "main";
  file.needed = {"liba.so"};
  binder.imports = {"bind", "listen"};
  const auto text = [&](const Libraries& libraries) { return server_findings(file, libraries).at(0).text; };
  CHECK(text({{"liba.so", true, binder}, {"libcrypto.so.3", false, binder}}).find("by liba.so:") !=
        std::string::npos);
  CHECK(text({{"liba.so", true, {}}, {"libb.so", false, binder}}).find("by libb.so:") != std::string::npos);
}

TEST_CASE("server: of what the loader lists, libraries with a path are kept") {
  const auto paths = linked_paths(
      "\tlinux-vdso.so.1 (0x00007f3bdc682000)\n\tliba.so => /srv/liba.so (0x00007f3bdc488000)\n"
      "\tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f3bdc684000)\n");
  REQUIRE(paths.size() == 1);
  CHECK(paths[0].first == "liba.so");
  CHECK(paths[0].second == "/srv/liba.so");
}
