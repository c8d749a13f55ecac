// What runs of a script or directory after its source has changed, and what a script that crashes costs.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "support/file.hpp"
#include "support/load.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

namespace fs = std::filesystem;

bool is_installed(const std::string& name) { return fs::exists("/usr/bin/" + name); }

// The server of test/programs, with its version in a module beside it, in a directory below node_modules.
std::string tree(const Scenario& scenario, const std::string& version) {
  const std::string top = scenario.dir / version;
  std::string text = read_file(PROGRAM_SOURCES "/http.py");
  for (const auto& [what, by] : {std::pair{"b'VERSION'", "word.text.encode()"}, {"'VERSION'", "word.text"}})
    text.replace(text.find(what), std::string(what).size(), by);
  fs::create_directories(top + "/node_modules/word");
  write_file(top + "/node_modules/word/word.py", "text = '" + version + "'\n");
  write_file(top + "/__main__.py",
             "import os, sys\n"
             "sys.path.insert(0, os.path.join(os.path.dirname(__file__), 'node_modules', 'word'))\n"
             "import word\n" +
                 text);
  return top;
}

std::string file(const Scenario& scenario, const std::string& version) {
  std::string text = read_file(PROGRAM_SOURCES "/http.py");
  for (auto at = text.find("VERSION'"); at != std::string::npos; at = text.find("VERSION'"))
    text.replace(at, 7, version);
  const std::string path = scenario.dir / (version + ".py");
  write_file(path, text);
  return path;
}

struct Change {
  const char* name;
  void (*apply)(const std::string& source);
};

const Change changes_of_file[] = {
    {"edited", [](const std::string& source) { write_file(source, "raise SystemExit('edited')\n"); }},
    {"deleted", [](const std::string& source) { fs::remove(source); }},
};
const Change changes_of_tree[] = {
    {"edited",
     [](const std::string& top) { write_file(top + "/__main__.py", "raise SystemExit('edited')\n"); }},
    {"node_modules half overwritten",
     [](const std::string& top) { write_file(top + "/node_modules/word/word.py", "text = 'v"); }},
    {"deleted", [](const std::string& top) { fs::remove_all(top); }},
};

// By rollback, respawn and restart.
void check_committed_bytes_run(Scenario& scenario, const std::string& v1, const std::string& v2,
                               const Change& change) {
  CAPTURE(change.name);
  const Port port;
  const auto site = std::make_shared<Site>(scenario, change.name);
  {
    Instance app(site, v1, {}, {port.text()});
    REQUIRE(app.upgrade(v2).status == Exit::ok);
    Load load(scenario, port.address(), {"--rate", "100"});
    change.apply(v1);
    const auto back = app.run("rollback");
    REQUIRE_MESSAGE(back.status == Exit::ok, back.err);
    CHECK(contains(http_get(port.address()), "v1"));
    load.stop().check_nothing_lost();
    const auto before = app.workers();
    ::kill(before.at(0), SIGKILL);
    CHECK(eventually([&] {
      const auto now = app.workers();
      return now.size() == 2 && now[0] != before[0];
    }));
    CHECK(app.serves(v1));
    for (int i = 0; i < 8; ++i) CHECK(contains(http_get(port.address()), "v1"));
  }
  const Instance again(site, v1, {}, {port.text()});
  for (int i = 0; i < 8; ++i) CHECK(contains(http_get(port.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "the committed bytes of a script run, whatever became of its file" *
                                doctest::skip(!is_installed("python3"))) {
  for (const Change& change : changes_of_file)
    check_committed_bytes_run(*this, file(*this, "v1"), file(*this, "v2"), change);
}

TEST_CASE_FIXTURE(Scenario, "the committed bytes of a directory run, whatever became of it" *
                                doctest::skip(!is_installed("python3"))) {
  for (const Change& change : changes_of_tree)
    check_committed_bytes_run(*this, tree(*this, "v1"), tree(*this, "v2"), change);
}

// Each worker of this server says how many connections it has accepted and not closed, and crashes.
TEST_CASE_FIXTURE(Scenario, "a script that crashes while it serves costs what it had accepted, and no more" *
                                doctest::skip(!is_installed("node"))) {
  const Port port;
  const std::string held = dir / "held", good = dir / "good.js", bad = dir / "bad.js";
  const std::string server =
      "const server = require('http').createServer((q, r) => setTimeout(() => r.end(version), 20));\n"
      "server.listen(Number(process.argv[2]), '127.0.0.1');\n";
  write_file(good, "const version = 'v1';\n" + server);
  write_file(bad, "const version = 'v2';\n" + server +
                      "setTimeout(() => server.getConnections((error, count) => {\n"
                      "  require('fs').appendFileSync('" +
                      held +
                      "', count + '\\n');\n"
                      "  process.abort();\n}), 400);\n");
  write_file(held, "");
  Instance app(*this, good, {"--probation", "3s", "--drain-limit", "8s"}, {port.text()});
  Load load(*this, port.address(), {"--rate", "200"});
  Sessions sessions({port.address()}, {.clients = 8, .requests = 0, .pause = milliseconds(25)});
  REQUIRE(sessions.all_began());
  const auto finished = app.upgrade(bad);
  CHECK_MESSAGE(finished.status == Exit::reverted, finished.err);
  CHECK(app.serves(good));
  std::uint64_t lost = load.stop().failures(), accepted = 0, workers = 0;
  for (const auto& [what, count] : sessions.stop()) lost += count;
  std::istringstream lines(read_file(held));
  for (std::uint64_t count = 0; lines >> count; ++workers) accepted += count;
  CHECK(workers > 0);
  CHECK_MESSAGE(lost <= accepted, lost, " requests lost, ", accepted, " connections accepted by ", workers,
                " workers that crashed");
}

// By a reload, and by another PATH of the workers.
TEST_CASE_FIXTURE(Scenario, "a rollback that runs by another runtime than then says so" *
                                doctest::skip(!is_installed("perl"))) {
  const std::string yaml = dir / "app.yaml";
  for (const std::string name : {"one", "two"}) {
    fs::create_directory(dir / name);
    fs::copy_file("/usr/bin/perl", dir / (name + "/perl"));
  }
  const auto script = [&](const std::string& version) {
    std::string text = read_file(PROGRAM_SOURCES "/http.pl");
    for (auto at = text.find("VERSION"); at != std::string::npos; at = text.find("VERSION"))
      text.replace(at, 7, version);
    write_file(dir / (version + ".pl"), text);
    return dir / (version + ".pl");
  };
  const auto settings = [&](const std::string& name, bool by_path) {
    write_file(yaml, by_path ? "runtime: perl\nenvironment: {PATH: " + dir / name + "}\n"
                             : "runtime: " + dir / (name + "/perl") + "\n");
  };
  for (const bool by_path : {false, true}) {
    CAPTURE(by_path);
    const Port port;
    settings("one", by_path);
    Instance app(std::make_shared<Site>(*this, by_path ? "path" : "file"), script("v1"), {"--config", yaml},
                 {port.text()});
    REQUIRE(app.upgrade(script("v2")).status == Exit::ok);
    settings("two", by_path);
    const auto reloaded = app.run("reload");
    REQUIRE_MESSAGE(reloaded.status == Exit::ok, reloaded.err);
    const auto back = app.run("rollback");
    REQUIRE_MESSAGE(back.status == Exit::ok, back.err);
    const std::string said = back.out + back.err;
    CHECK_MESSAGE(contains(said, "it was prepared with the runtime " + dir / "one/perl"), said);
    CHECK_MESSAGE(contains(said, "and " + dir / "two/perl" + " runs it now"), said);
    CHECK(contains(http_get(port.address()), "v1"));
  }
}

TEST_CASE_FIXTURE(Scenario, "a script that writes beside its code is told where to write" *
                                doctest::skip(::geteuid() != 0 || !is_installed("python3"))) {
  const Port port;
  ::chmod(dir.path().c_str(), 0711);
  Instance app(*this, file(*this, "v1"), {"--user", "nobody", "--forks", "1"}, {port.text()});
  write_file(dir / "writes.py", "import os\nopen(os.path.join(os.path.dirname(__file__), 'data'), 'w')\n");
  const auto finished = app.upgrade(dir / "writes.py");
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "Permission denied"), finished.err);
  CHECK_MESSAGE(contains(finished.err, "let the application write to its"), finished.err);
}

// The careful ways of an upgrade, with a script.
TEST_CASE_FIXTURE(Scenario, "a canary and a flip of a script" * doctest::skip(!is_installed("python3"))) {
  const Port port;
  Instance app(*this, file(*this, "v1"), {}, {port.text()});
  Load load(*this, port.address(), {"--rate", "100"});
  const auto canary = app.upgrade(file(*this, "v2"), {"--canary", "1", "--bake", "300ms"});
  CHECK_MESSAGE(canary.status == Exit::ok, canary.err);
  CHECK(contains(http_get(port.address()), "v2"));
  const auto flipped = app.upgrade(file(*this, "v1"), {"--flip"});
  CHECK_MESSAGE(flipped.status == Exit::ok, flipped.err);
  for (int i = 0; i < 8; ++i) CHECK(contains(http_get(port.address()), "v1"));
  const std::string bad = dir / "bad.py";
  write_file(bad, "import time\ntime.sleep(0.2)\nraise SystemExit('no good')\n");
  const auto failed = app.upgrade(bad, {"--canary", "1", "--bake", "300ms"});
  CHECK(failed.status == Exit::reverted);
  CHECK_MESSAGE(contains(failed.err, "no good"), failed.err);
  load.stop().check_nothing_lost();
}

}  // namespace
}  // namespace scenario
