// Scripts as they are: run by their runtime with the hook, upgraded under load; those that are wrong.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "support/file.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

constexpr int upgrades = 10;

bool is_installed(const std::string& name) {
  for (const std::string place : {"/usr/local/bin/", "/usr/bin/", "/bin/"})
    if (std::filesystem::exists(place + name)) return true;
  return false;
}

// test/programs/http.<ending> with that version, in a file of the scenario's directory.
std::string script(const Scenario& scenario, const std::string& ending, const std::string& version) {
  std::string text = read_file(PROGRAM_SOURCES "/http." + ending);
  for (auto at = text.find("'VERSION'"); at != std::string::npos; at = text.find("'VERSION'", at + 1))
    text.replace(at + 1, 7, version);
  for (auto at = text.find("nVERSION"); at != std::string::npos; at = text.find("nVERSION", at + 1))
    text.replace(at + 1, 7, version);
  const std::string path = scenario.dir / ("http_" + version + "." + ending);
  write_file(path, text);
  return path;
}

void upgrade_under_load(Scenario& scenario, const std::string& ending, const Words& options = {}) {
  CAPTURE(ending);
  const Port port;
  const auto v1 = script(scenario, ending, "v1"), v2 = script(scenario, ending, "v2");
  Instance app(scenario, v1, options, {port.text()});
  Load load(scenario, port.address(), {"--rate", "200"});
  Sessions sessions({port.address()}, {.clients = 8, .requests = 0, .pause = milliseconds(25)});
  REQUIRE(sessions.all_began());
  for (int i = 1; i <= upgrades; ++i) {
    const auto before = app.workers();
    const auto finished = app.upgrade(i % 2 ? v2 : v1);
    REQUIRE_MESSAGE(finished.status == Exit::ok, "upgrade ", i, ": ", finished.err);
    CHECK(eventually([&] { return all_gone(before); }));
  }
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(sessions.answers_of("v1") > 0);
  CHECK(sessions.answers_of("v2") > 0);
  MESSAGE(ending, ": ", upgrades, " upgrades, ", report.attempts(), " attempts and ", sessions.answers(),
          " on connections that were never closed, 0 failed");
}

TEST_CASE_FIXTURE(Scenario,
                  "10 upgrades of a script of Node under load" * doctest::skip(!is_installed("node"))) {
  upgrade_under_load(*this, "js");
}

TEST_CASE_FIXTURE(Scenario,
                  "10 upgrades of a script of Python under load" * doctest::skip(!is_installed("python3"))) {
  upgrade_under_load(*this, "py");
}

TEST_CASE_FIXTURE(Scenario,
                  "10 upgrades of a script of Perl under load" * doctest::skip(!is_installed("perl"))) {
  upgrade_under_load(*this, "pl");
}

struct Bad {
  const char* name;
  const char* ending;
  const char* text;
  const char* says;
  int status;
};

// What Python caches of its modules, in files below a directory.
unsigned count_bytecode(const std::string& place) {
  unsigned count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place))
    count += entry.path().extension() == ".pyc";
  return count;
}

// The runtime's own words stand in the error, and the old code serves on.
void check_bad(Scenario& scenario, const Bad& bad) {
  CAPTURE(bad.name);
  const Port port;
  const auto good = script(scenario, bad.ending, "v1");
  Instance app(scenario, good, {"--forks", "1", "--ready-limit", "5s"}, {port.text()});
  const auto before = app.workers();
  const std::string path = scenario.dir / (std::string("bad.") + bad.ending);
  write_file(path, bad.text);
  const auto finished = app.upgrade(path);
  CHECK(finished.status == bad.status);
  CHECK_MESSAGE(contains(finished.err, bad.says), finished.err);
  CHECK(contains(http_get(port.address()), "v1"));
  CHECK(app.workers() == before);
  // The check leaves nothing beside the script or in the store.
  CHECK(count_bytecode(scenario.dir.path()) == 0);
  // A status and a log line have the first line alone.
  const auto reason = Json::parse(app.run("receipt", {"--json"}).out)["reason"].get<std::string>();
  CHECK_MESSAGE(!reason.substr(0, reason.find('\n')).ends_with(":"), reason);
  if (std::string(bad.name) == "a syntax error")
    CHECK_MESSAGE(contains(reason.substr(0, reason.find('\n')), bad.says), reason);
}

TEST_CASE_FIXTURE(Scenario, "scripts of Node that are wrong" * doctest::skip(!is_installed("node"))) {
  for (const Bad& bad : {
           Bad{"a syntax error", "js", "const a = ;\n", "SyntaxError: Unexpected token ';'", Exit::reverted},
           Bad{"a missing module", "js", "require('no-such-module');\n",
               "Cannot find module 'no-such-module'", Exit::reverted},
           Bad{"an exception", "js", "throw new Error('out of order');\n", "out of order", Exit::reverted},
           Bad{"never listens", "js", "setInterval(() => {}, 1000);\n", "not ready within", Exit::reverted},
           Bad{"ends at once", "js", "console.error('nothing to do');\n", "nothing to do", Exit::reverted},
       })
    check_bad(*this, bad);
}

TEST_CASE_FIXTURE(Scenario, "scripts of Python that are wrong" * doctest::skip(!is_installed("python3"))) {
  for (const Bad& bad : {
           Bad{"a syntax error", "py", "def a(:\n", "SyntaxError: invalid syntax", Exit::reverted},
           Bad{"a missing module", "py", "import no_such_module\n", "No module named 'no_such_module'",
               Exit::reverted},
       })
    check_bad(*this, bad);
}

TEST_CASE_FIXTURE(Scenario,
                  "a script that crashes after it has listened" * doctest::skip(!is_installed("node"))) {
  const Port port;
  const auto good = script(*this, "js", "v1");
  Instance app(*this, good, {"--forks", "1", "--probation", "3s"}, {port.text()});
  const std::string path = dir / "crash.js";
  write_file(path, read_file(script(*this, "js", "v2")) +
                       "setTimeout(() => { throw new Error('too late') }, 300);\n");
  const auto finished = app.upgrade(path);
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "too late"), finished.err);
  CHECK(contains(http_get(port.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a shell script is refused with the reason") {
  const Port port;
  Instance app(*this, PROGRAMS "/poll_v1", {"--forks", "1"}, {port.text()});
  write_file(dir / "run.sh", "#!/bin/sh\nexec node server.js\n");
  write_file(dir / "run", "#!/usr/bin/env bash\nexec node server.js\n");
  for (const std::string name : {"run.sh", "run"}) {
    const auto finished = app.upgrade(dir / name);
    CHECK(finished.status == Exit::refused);
    CHECK_MESSAGE(contains(finished.err, "is a shell script"), finished.err);
  }
}

TEST_CASE_FIXTURE(Scenario, "a runtime that liveswap does not know" * doctest::skip(!is_installed("perl"))) {
  const Port port;
  const auto text = read_file(script(*this, "pl", "v1"));
  write_file(dir / "http.odd", text);
  write_file(dir / "odd.yaml", "runtimes:\n  odd: {run: [perl, -w], check: [perl, -c]}\n");
  Instance app(*this, dir / "http.odd", {"--forks", "1", "--config", dir / "odd.yaml"}, {port.text()});
  CHECK(contains(http_get(port.address()), "v1"));
  const auto line = read_file("/proc/" + std::to_string(app.workers().at(0)) + "/cmdline");
  CHECK(line.starts_with(std::string("perl\0-w\0", 8)));
  write_file(dir / "bad.odd", "sub {\n");
  const auto finished = app.upgrade(dir / "bad.odd");
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "Missing right curly"), finished.err);
}

TEST_CASE_FIXTURE(Scenario, "the #! line names the runtime" * doctest::skip(!is_installed("perl"))) {
  const Port port;
  write_file(dir / "server", "#!/usr/bin/env -S perl -w\n" + read_file(script(*this, "pl", "v1")));
  Instance app(*this, dir / "server", {"--forks", "1"}, {port.text()});
  CHECK(contains(http_get(port.address()), "v1"));
}

TEST_CASE_FIXTURE(Scenario,
                  "the runtime stands in receipt and status, and a rollback says that it has changed" *
                      doctest::skip(!is_installed("perl"))) {
  const Port port;
  const std::string perl = dir / "perl";
  std::filesystem::copy_file("/usr/bin/perl", perl);
  Instance app(*this, script(*this, "pl", "v1"), {"--forks", "1", "--runtime", perl}, {port.text()});
  REQUIRE(app.upgrade(script(*this, "pl", "v2")).status == Exit::ok);
  const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
  for (const auto& runtime : {receipt["to"]["runtime"], app.status()["runtime"]}) {
    CHECK(runtime["path"] == perl);
    CHECK(contains(runtime["version"].get<std::string>(), "This is perl"));
    CHECK(runtime["sha256"].get<std::string>().size() == 64);
  }
  const auto same = app.run("rollback");
  CHECK(same.status == Exit::ok);
  CHECK_MESSAGE(!contains(same.out + same.err, "another file"), same.out, same.err);
  write_file(perl + ".new", read_file("/usr/bin/perl") + "#");
  std::filesystem::permissions(perl + ".new", std::filesystem::perms(0755));
  std::filesystem::rename(perl + ".new", perl);
  const auto back = app.run("rollback");
  CHECK(back.status == Exit::ok);
  const std::string said = back.out + back.err;
  CHECK_MESSAGE(contains(said, "which is another file now"), said);
}

TEST_CASE_FIXTURE(Scenario, "a directory of Python" * doctest::skip(!is_installed("python3"))) {
  const Port port;
  const std::string app = dir / "app";
  std::filesystem::create_directory(app);
  write_file(app + "/__main__.py", read_file(script(*this, "py", "v1")));
  Instance instance(*this, app, {"--forks", "1"}, {port.text()});
  CHECK(contains(http_get(port.address()), "v1"));
  write_file(app + "/__main__.py", read_file(script(*this, "py", "v2")));
  CHECK(instance.upgrade(app).status == Exit::ok);
  CHECK(contains(http_get(port.address()), "v2"));
  write_file(app + "/__main__.py", "def a(:\n");
  const auto failed = instance.upgrade(app);
  CHECK(failed.status == Exit::reverted);
  CHECK_MESSAGE(contains(failed.err, "SyntaxError"), failed.err);
  CHECK(contains(http_get(port.address()), "v2"));
}

TEST_CASE_FIXTURE(Scenario, "a directory is checked" * doctest::skip(!is_installed("python3"))) {
  const std::string app = dir / "app";
  std::filesystem::create_directory(app);
  write_file(app + "/__main__.py", read_file(script(*this, "py", "v1")));
  const auto check = [&] { return run(dir, {{liveswap_program(), "check", app}}); };
  const auto is_refused = [&](const std::string& with) {
    const auto finished = check();
    CHECK(finished.status == Exit::failed);
    CHECK_MESSAGE(contains(finished.out + finished.err, with), finished.out, finished.err);
  };
  const auto good = check();
  CHECK_MESSAGE(good.status == Exit::ok, good.out, good.err);
  std::filesystem::create_symlink("/var/secret", app + "/leads-out");
  is_refused("leads-out");
  std::filesystem::remove(app + "/leads-out");
  REQUIRE(::mkfifo((app + "/pipe").c_str(), 0600) == 0);
  is_refused("pipe");
  std::filesystem::remove(app + "/pipe");
  write_file(app + "/__main__.py", "def a(:\n");
  is_refused("SyntaxError");
}

TEST_CASE_FIXTURE(Scenario, "Python writes no bytecode into its release, and elsewhere if the user says so" *
                                doctest::skip(!is_installed("python3"))) {
  const Port port;
  const std::string app = dir / "app";
  std::filesystem::create_directory(app);
  write_file(app + "/helper.py", "def help(): pass\n");
  write_file(app + "/__main__.py", "import helper\n" + read_file(script(*this, "py", "v1")));
  const auto site = [&](const std::string& name) {
    const auto made = std::make_shared<Site>(*this, name);
    made->prefix = {"env", "-u", "PYTHONDONTWRITEBYTECODE", "-u", "PYTHONPYCACHEPREFIX"};
    return made;
  };
  {
    const Instance instance(site("one"), app, {"--forks", "1"}, {port.text()});
    CHECK(contains(http_get(port.address()), "v1"));
    CHECK(count_bytecode(instance.site().state_dir()) == 0);
  }
  const std::string cache = dir.directory("cache");
  const Instance instance(site("two"), app, {"--forks", "1", "--env", "PYTHONPYCACHEPREFIX=" + cache},
                          {port.text()});
  CHECK(count_bytecode(instance.site().state_dir()) == 0);
  CHECK(count_bytecode(cache) > 0);
}

TEST_CASE_FIXTURE(Scenario,
                  "a directory of Node, and what starts it" * doctest::skip(!is_installed("node"))) {
  const Port port;
  const std::string app = dir / "app";
  std::filesystem::create_directories(app + "/lib");
  write_file(app + "/package.json", "{\"main\": \"lib/server.js\"}");
  write_file(app + "/lib/server.js", read_file(script(*this, "js", "v1")));
  write_file(app + "/other.js", read_file(script(*this, "js", "v2")));
  {
    Instance instance(*this, app, {"--forks", "1"}, {port.text()});
    CHECK(contains(http_get(port.address()), "v1"));
  }
  Instance other(*this, app, {"--forks", "1", "--start-file", "other.js"}, {port.text()});
  CHECK(contains(http_get(port.address()), "v2"));
  std::filesystem::remove(app + "/other.js");
  const auto refused = other.upgrade(app);
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, "has no file other.js"), refused.err);
}

TEST_CASE_FIXTURE(Scenario,
                  "a module of Node as the pre-upgrade plugin" * doctest::skip(!is_installed("node"))) {
  const Port port;
  const auto v1 = script(*this, "js", "v1"), v2 = script(*this, "js", "v2");
  write_file(dir / "pull.js",
             "module.exports = ({value}, callback) => setTimeout(() => value.endsWith('refuse.js') ?\n"
             "  callback(new Error('not today')) : value.endsWith('silent.js') || callback(null, '" +
                 v2 + "'), 10);\n");
  Instance app(*this, v1, {"--forks", "1", "--pre-upgrade", dir / "pull.js"}, {port.text()});
  const auto refused = app.upgrade(dir / "refuse.js");
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, "not today"), refused.err);
  const auto silent = app.upgrade(dir / "silent.js");
  CHECK(silent.status == Exit::refused);
  CHECK_MESSAGE(contains(silent.err, "without a call of its callback"), silent.err);
  CHECK(app.upgrade(v1).status == Exit::ok);
  CHECK(app.head() == v2 + "\n");
}

TEST_CASE_FIXTURE(Scenario, "a script as the pre-upgrade plugin" * doctest::skip(!is_installed("perl"))) {
  const Port port;
  const auto v1 = script(*this, "pl", "v1"), v2 = script(*this, "pl", "v2");
  write_file(dir / "pull.pl",
             "print \"pulled\\n\"; die \"not $ARGV[0]\\n\" if $ARGV[0] =~ /refuse/; print '" + v2 +
                 "' if $ARGV[0] =~ /v1/;\n");
  Instance app(*this, v1, {"--forks", "1", "--pre-upgrade", dir / "pull.pl"}, {port.text()});
  const auto refused = app.upgrade(dir / "refuse.pl");
  CHECK(refused.status == Exit::refused);
  CHECK_MESSAGE(contains(refused.err, "not " + (dir / "refuse.pl")), refused.err);
  CHECK(app.upgrade(v1).status == Exit::ok);
  CHECK(app.head() == v2 + "\n");
}

// Such a connection may have state that only its own process knows.
TEST_CASE_FIXTURE(Scenario, "a connection of another protocol is ended, not handed off" *
                                doctest::skip(!is_installed("node"))) {
  const Port port;
  write_file(
      dir / "count.js",
      "require('net').createServer(s => { let n = 0; s.on('data', () => s.write('count ' + ++n + '\\n')); })"
      ".listen(Number(process.argv[2]), '127.0.0.1');\n");
  Instance app(*this, dir / "count.js", {"--forks", "1", "--keepalive-grace", "200ms"}, {port.text()});
  Connection open(port.address());
  REQUIRE(open.send("x"));
  CHECK(open.read_line() == "count 1\n");
  CHECK(app.upgrade(dir / "count.js").status == Exit::ok);
  CHECK(open.ends());
}

// Node's cluster accepts in the first process and serves in others.
TEST_CASE_FIXTURE(Scenario, "a cluster of Node cuts no connection" * doctest::skip(!is_installed("node"))) {
  const Port port;
  const std::string text =
      "const cluster = require('cluster');\n"
      "if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }\n"
      "else { const s = require('http').createServer((q, r) => r.end('v1')); s.keepAliveTimeout = 60000; "
      "s.listen(Number(process.argv[2]), '127.0.0.1'); }\n";
  write_file(dir / "cluster.js", text);
  Instance app(*this, dir / "cluster.js", {"--forks", "1"}, {port.text()});
  Connection open(port.address());
  REQUIRE(open.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(contains(open.read_line(), "200"));
  auto upgrade = app.site().launch("upgrade", {script(*this, "js", "v2")});
  CHECK(eventually([&] { return contains(http_get(port.address()), "v2"); }));
  CHECK(upgrade.running());
  REQUIRE(open.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string rest = open.read_all();
  CHECK_MESSAGE(contains(rest, "v1HTTP/1.1 200"), rest);  // behind the first answer
  CHECK_MESSAGE(rest.ends_with("v1"), rest);
  CHECK(upgrade.wait().status == Exit::ok);
}

// Requests on it without a pause; false: it was closed in between.
bool asks_until(Connection& connection, const std::function<bool()>& enough) {
  while (!enough()) {
    if (!connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) return false;
    while (true) {
      const std::string line = connection.read_line();
      if (line.empty()) return false;
      if (line == "\r\n") break;
    }
    if (connection.read_exactly(2, patience) != "v1") return false;
  }
  return true;
}

TEST_CASE_FIXTURE(Scenario, "an upgrade that cuts connections of a cluster of Node is no success" *
                                doctest::skip(!is_installed("node"))) {
  const Port port;
  write_file(dir / "cluster.js",
             "const cluster = require('cluster');\n"
             "if (cluster.isPrimary) cluster.fork();\n"
             "else require('http').createServer((q, r) => r.end('v1')).listen(Number(process.argv[2]), "
             "'127.0.0.1');\n");
  Instance app(*this, dir / "cluster.js", {"--forks", "1", "--drain-limit", "1s"}, {port.text()});
  Connection busy(port.address());
  auto upgrade = app.site().launch("upgrade", {script(*this, "js", "v2")});
  CHECK(!asks_until(busy, [&] { return !upgrade.running(); }));
  const auto finished = upgrade.wait();
  CHECK(finished.status == Exit::failed);
  CHECK_MESSAGE(contains(finished.err, "which cut 1 connection of processes that it had started"),
                finished.err);
  CHECK_MESSAGE(contains(finished.err, "let --forks start workers"), finished.err);
  CHECK(contains(http_get(port.address()), "v2"));
  CHECK(contains(app.head(), "http_v2.js"));
}

TEST_CASE_FIXTURE(Scenario,
                  "a prefork server of Python is refused" * doctest::skip(!is_installed("python3"))) {
  const Port port;
  Instance app(*this, script(*this, "py", "v1"), {"--forks", "1"}, {port.text()});
  const auto before = app.workers();
  write_file(dir / "prefork.py",
             "import os, socket, sys\n"
             "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
             "for _ in range(2):\n"
             "    if os.fork() == 0:\n"
             "        while True: s.accept()[0].close()\n"
             "os.wait()\n");
  const auto finished = app.upgrade(dir / "prefork.py");
  CHECK(finished.status == Exit::reverted);
  CHECK_MESSAGE(contains(finished.err, "forks processes that serve (prefork)"), finished.err);
  CHECK(app.workers() == before);
}

}  // namespace
}  // namespace scenario
