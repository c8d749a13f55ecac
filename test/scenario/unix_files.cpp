// The files of Unix sockets: old workers and other programs remove and rename them, and clients always find
// one.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 20;

std::string server(int number) {
  return std::string(UNIX_SERVER_BUILD "/libunix_server_v") + (number % 2 ? "2" : "1") + ".so";
}

struct Served {
  Served(Scenario& scenario, const std::string& binds, const std::string& leaves)
      : path(scenario.dir.directory("sockets") + "/app.sock"),
        app(scenario, server(0), {"--entry", "main", "--keepalive-grace", "100ms"}, {path, binds, leaves}) {}
  std::string path;
  std::string address = "unix:" + path;
  Instance app;
};

std::vector<std::string> files_beside(const std::string& path) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path()))
    found.push_back(entry.path().filename());
  std::sort(found.begin(), found.end());
  return found;
}

bool answers(const Served& served, const std::string& version) {
  return contains(http_get(served.address), version);
}

// New and kept connections; no request is repeated.
void upgrades_under_load(Scenario& scenario, const std::string& binds, const std::string& leaves,
                         int& failures) {
  CAPTURE(binds);
  CAPTURE(leaves);
  Served served(scenario, binds, leaves);
  Sessions sessions({served.address, served.address},
                    {.clients = 4, .requests = 10, .pause = milliseconds(5)});
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= upgrades; ++i) {
    const auto finished = served.app.upgrade(server(i));
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK(answers(served, i % 2 ? "v2" : "v1"));
    // A handler's own unlink() removes nothing, because the worker host sees it. A program does remove the
    // file, and the upgrade reports that.
    const bool removed = leaves == "rm" || leaves == "all";
    CHECK_MESSAGE(contains(finished.out + finished.err, "its file was removed") == removed, finished.out,
                  finished.err);
  }
  for (const auto& [what, count] : sessions.stop()) {
    MESSAGE(count, " times: ", what);
    failures += static_cast<int>(count);
  }
  CHECK(files_beside(served.path) == std::vector<std::string>{".app.sock.liveswap", "app.sock"});
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  MESSAGE(binds, ", ", leaves, ": ", upgrades, " upgrades, ", sessions.answers(), " answers, ", failures,
          " failed");
}

void loses_nothing(Scenario& scenario, const std::string& binds, const std::string& leaves) {
  int failures = 0;
  upgrades_under_load(scenario, binds, leaves, failures);
  CHECK(failures == 0);
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "20 upgrades of a server that unlinks its path when it leaves") {
  loses_nothing(*this, "at", "unlink");
}
TEST_CASE_FIXTURE(Scenario, "20 upgrades of a server that renames its socket to the path") {
  loses_nothing(*this, "tmp", "unlink");
}
TEST_CASE_FIXTURE(Scenario, "20 upgrades of a server that renames it from a name for each process") {
  loses_nothing(*this, "pid", "unlink");
}

// Between removal and repair, for some hundred microseconds, a client finds no file.
TEST_CASE_FIXTURE(Scenario, "20 upgrades of a server that has its path removed by a program") {
  for (const std::string leaves : {"rm", "all"}) {
    int failures = 0;
    upgrades_under_load(*this, "at", leaves, failures);
    CHECK(failures < 2 * upgrades);
  }
}

TEST_CASE_FIXTURE(Scenario, "a cleaner's removal is mended at once, whenever it comes") {
  Served served(*this, "at", "keep");
  const pid_t master = served.app.master().pid();
  for (int i = 0; i < 5; ++i) {
    REQUIRE(::unlink(served.path.c_str()) == 0);
    CHECK(eventually([&] { return answers(served, "v1"); }, milliseconds(2'000)));
  }
  // Removes every link: the running workers get another socket.
  const auto workers = served.app.workers();
  for (const auto& name : files_beside(served.path))
    ::unlink((std::filesystem::path(served.path).parent_path() / name).c_str());
  CHECK(eventually([&] { return answers(served, "v1"); }, milliseconds(2'000)));
  for (int i = 0; i < 20; ++i) CHECK(answers(served, "v1"));
  CHECK(served.app.workers() == workers);
  // The master sleeps: changes of other files in the directory do not wake it.
  const auto before = proc::status_number(master, "voluntary_ctxt_switches");
  for (int i = 0; i < 50; ++i) std::ofstream(std::filesystem::path(served.path).parent_path() / "log") << i;
  std::filesystem::remove(std::filesystem::path(served.path).parent_path() / "log");
  CHECK(proc::status_number(master, "voluntary_ctxt_switches") - before < 10);
  CHECK(served.app.run("stop").status == Exit::ok);
  // The command gets its answer just before the master removes the files and exits.
  CHECK(eventually([&] { return files_beside(served.path).empty(); }));
}

// A lent listener. (An application that binds the path itself removes whatever is there.)
TEST_CASE_FIXTURE(Scenario, "a path that something else has taken is said, and is no success") {
  const std::string path = dir / "app.sock", mine = dir / "mine";
  Instance app(*this, fixture("version_v1"), {"--listen", "local=unix:" + path});
  write_file(mine, "precious");
  REQUIRE(::rename(mine.c_str(), path.c_str()) == 0);
  const auto finished = app.upgrade(fixture("version_v2"));
  CHECK(finished.status == Exit::failed);
  CHECK_MESSAGE(contains(finished.err, "nobody can connect"), finished.err);
  CHECK_MESSAGE(contains(finished.err, path), finished.err);
  CHECK(read_file(path) == "precious");
  // The upgrade is committed nevertheless: the new code serves, and a rollback finds the release before.
  CHECK(contains(http_get(app.address()), "v2"));
  CHECK(contains(app.head(), "version_v2"));
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(eventually([&] { return Connection::attempt("unix:" + path).has_value(); }));
  CHECK(app.run("rollback").status == Exit::ok);
  CHECK(contains(http_get(app.address()), "v1"));
}

}  // namespace scenario
