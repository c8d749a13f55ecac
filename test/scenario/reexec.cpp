// liveswap itself is replaced while clients hammer the application: same process, same workers, nothing lost.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const Words options{"--settle", "20ms", "--drain-limit", "10s", "--term-grace", "500ms"};

// A copy of the program elsewhere has no worker host beside it.
Words with_worker_host() {
  return {"--worker-host", std::filesystem::path(liveswap_program()).parent_path() / "liveswap-worker"};
}

std::uint64_t executions(const Instance& app) { return app.status()["executions"].get<std::uint64_t>(); }

void reexecute(const Instance& app, const Words& words = {}) {
  const auto before = executions(app);
  const auto finished = app.run("reexec", words);
  REQUIRE_MESSAGE(finished.status == Exit::ok, finished.err);
  CHECK(contains(finished.out, "goes on with"));
  CHECK(executions(app) == before + 1);
}

// A program in the place of liveswap.
std::string script(const Scenario& scenario, const std::string& name, const std::string& text) {
  const std::string path = scenario.dir.path() + "/" + name;
  write_file(path, text);
  ::chmod(path.c_str(), 0755);
  return path;
}

// Another file with the same program, as an update installs it.
std::string other_program(const Scenario& scenario) {
  const char* given = std::getenv("LIVESWAP_OTHER");
  if (given) return given;
  const std::filesystem::path own = liveswap_program();
  const std::string path = scenario.dir.path() + "/liveswap-other";
  std::filesystem::copy_file(own, path);
  return path;
}

// The number of re-executions; many in test/bench/reexec.
int rounds() {
  const char* given = std::getenv("LIVESWAP_REEXECS");
  return given ? std::atoi(given) : 8;
}

// Same pid, same workers, no descriptor more.
struct Kept {
  explicit Kept(Instance& app)
      : instance(app), pid(app.master().pid()), workers(app.workers()), descriptors(count()) {}
  std::size_t count() const { return proc::descriptors(pid).size(); }
  void check() const {
    CHECK(eventually([&] { return count() <= descriptors; }));
    CHECK(instance.status()["pid"] == pid);
    CHECK(instance.workers() == workers);
    // A release store may look at the release for a moment.
    CHECK(eventually([&] { return instance.children() == workers; }));
  }
  Instance& instance;
  const pid_t pid;
  const std::vector<pid_t> workers;
  const std::size_t descriptors;
};

void often(Scenario& scenario, const std::string& mode, const Words& load_options) {
  Instance app(scenario, fixture("version_v1"), options + with_worker_host() + Words{"--listen-mode", mode});
  const Kept kept(app);
  const std::string other = other_program(scenario),
                    broken = script(scenario, "broken", "#!/bin/sh\nexit 3\n");
  Load load(scenario, app.address(), load_options);
  for (int i = 0; i < rounds(); ++i) {
    CAPTURE(i);
    if (i % 10 == 5) {
      const auto finished = app.run("reexec", {"--binary", broken});
      CHECK(finished.status == Exit::failed);
      CHECK(contains(finished.err, "cannot go on with the state of this master (exit status 3)"));
    } else {
      reexecute(app, i % 2 == 0 ? Words{} : Words{"--binary", other});
    }
    kept.check();
  }
  const auto report = load.stop();
  report.check_nothing_lost();
  MESSAGE(mode, ": ", rounds(), " re-executions, ", report.attempts(), " attempts, ", report.failures(),
          " failed");
}

TEST_CASE_FIXTURE(Scenario, "re-executions under load, reuseport, a connection for each request") {
  often(*this, "reuseport", {"--rate", "400"});
}

TEST_CASE_FIXTURE(Scenario, "re-executions under load, shared, keep-alive") {
  often(*this, "shared", {"--rate", "400", "--keep-alive", "--connections", "30"});
}

TEST_CASE_FIXTURE(Scenario, "upgrades, rollbacks, forks and respawns go on as before a re-execution") {
  Instance app(*this, fixture("version_v1"), options);
  Load load(*this, app.address(), {"--rate", "300"});
  reexecute(app);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  reexecute(app);
  CHECK(app.status()["generation"] == 2);
  CHECK(app.status()["last_upgrade"]["status"] == "ok");
  CHECK(app.run("rollback").status == Exit::ok);
  CHECK(app.serves(fixture("version_v1")));
  CHECK(app.run("forks", {"4"}).status == Exit::ok);
  reexecute(app);
  CHECK(app.status()["forks"] == 4);
  CHECK(app.upgrade(fixture("version_v2"), {"--flip"}).status == Exit::ok);
  reexecute(app);
  CHECK(app.upgrade(fixture("version_v1"), {"--flip"}).status == Exit::ok);
  CHECK(app.run("forks", {"1"}).status == Exit::ok);
  reexecute(app);
  const auto report = load.stop();
  report.check_nothing_lost();
  CHECK(app.status()["slots"][0]["restarts"] == 0);
  const auto before = app.workers();
  ::kill(before[0], SIGKILL);
  CHECK(eventually([&] { return app.workers().size() == 1 && app.workers() != before; }));
  reexecute(app);
  CHECK(app.status()["slots"][0]["restarts"] == 1);
  CHECK(contains(app.status()["slots"][0]["last_failure"]["text"].get<std::string>(), "SIGKILL"));
  CHECK(app.run("receipt").status == Exit::ok);
}

TEST_CASE_FIXTURE(Scenario, "a connection is held and an old worker drains across a re-execution") {
  Instance app(*this, fixture("version_v1"), options);
  Connection held(app.address());
  REQUIRE(held.send("GET / HTTP/1.1\r\nHost: x\r\n"));
  REQUIRE(eventually([&] { return app.connections() > 0; }));
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2")});
  REQUIRE(eventually([&] { return app.status()["generation"] == 2; }));
  reexecute(app, {"--timeout", "100ms"});
  // The upgrade, which is committed, is waited for, and then answered early.
  const auto answered = upgrade.wait();
  CHECK(answered.status == Exit::ok);
  CHECK(contains(answered.out, "still drain"));
  REQUIRE(held.send("\r\n"));
  CHECK(contains(held.read_all(), "v1"));
  CHECK(app.serves(fixture("version_v2")));
}

TEST_CASE_FIXTURE(Scenario, "the worker of a removed slot drains across a re-execution") {
  Instance app(*this, fixture("version_v1"), options + Words{"--forks", "3"});
  std::vector<Connection> held;
  for (int i = 0; i < 24; ++i) {
    held.emplace_back(app.address());
    REQUIRE(held.back().send("GET / HTTP/1.1\r\nHost: x\r\n"));
  }
  REQUIRE(eventually([&] { return app.connections() == held.size(); }));
  Process fewer = app.site().launch("forks", {"1"});
  REQUIRE(eventually([&] { return app.status()["forks"] == 1; }));
  reexecute(app, {"--timeout", "1s"});
  const auto answered = fewer.wait();
  CHECK(answered.status == Exit::ok);
  CHECK_MESSAGE(contains(answered.out, "workers of removed slots still drain (2)"), answered.out);
  CHECK(app.children().size() == 3);
  CHECK(app.workers().size() == 1);
  for (auto& connection : held) {
    REQUIRE(connection.send("\r\n"));
    CHECK(contains(connection.read_line(), "200"));
  }
  held.clear();
  CHECK(eventually([&] { return app.children().size() == 1; }));
  CHECK(app.run("forks", {"2"}).status == Exit::ok);
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "SIGUSR2 re-executes; other signals then mean what they did") {
  Instance app(*this, fixture("version_v1"), options);
  const Kept kept(app);
  app.master().signal(SIGUSR2);
  CHECK(eventually([&] { return app.status()["executions"] == 1; }));
  app.master().signal(SIGUSR2);
  CHECK(eventually([&] { return app.status()["executions"] == 2; }));
  kept.check();
  app.master().signal(SIGHUP);
  CHECK(eventually([&] { return app.status()["generation"] == 2; }));
  app.master().signal(SIGTERM);
  CHECK(app.master().wait().status == Exit::ok);
}

// Lets the process run until it has executed a program, and holds it before the first instruction.
class HeldAtExec {
 public:
  explicit HeldAtExec(pid_t pid) : pid_(pid) {
    REQUIRE(::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACEEXEC) == 0);
  }
  HeldAtExec(const HeldAtExec&) = delete;
  HeldAtExec& operator=(const HeldAtExec&) = delete;
  ~HeldAtExec() { release(); }
  void await() {
    for (int status = 0;; ::ptrace(PTRACE_CONT, pid_, nullptr, status >> 16 == 0 ? WSTOPSIG(status) : 0)) {
      REQUIRE(::waitpid(pid_, &status, __WALL) == pid_);
      REQUIRE(WIFSTOPPED(status));
      if (status >> 16 == PTRACE_EVENT_EXEC) break;
    }
    is_held_ = true;
  }
  // Only a stopped process can be released.
  void release() {
    if (std::exchange(is_held_, false)) ::ptrace(PTRACE_DETACH, pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
  bool is_held_ = false;
};

// Before Linux 6.15 only the parent that reaps the worker knows its exit status.
TEST_CASE_FIXTURE(Scenario, "a worker that ends before the next program runs is reported with its end") {
  Instance app(*this, fixture("version_v1"), options);
  const pid_t worker = app.workers().at(0);
  HeldAtExec held(app.master().pid());
  Process command = app.site().launch("reexec");
  held.await();
  REQUIRE(::kill(worker, SIGKILL) == 0);
  REQUIRE(eventually([&] { return !proc::runs(worker); }));
  held.release();
  CHECK(command.wait().status == Exit::ok);
  CHECK(eventually([&] { return app.workers().size() == 2 && app.workers().at(0) != worker; }));
  const std::string ended = "pid " + std::to_string(worker) + ": gone, killed by SIGKILL";
  CHECK_MESSAGE(contains(app.master().err(), ended), app.master().err());
}

// At different moments before, in and after the execution.
TEST_CASE_FIXTURE(Scenario, "a signal that comes meanwhile is acted upon") {
  const std::string log = dir.path() + "/log";
  Instance app(*this, fixture("version_v1"), options + Words{"--log-file", log});
  for (int round = 0; round < 24; ++round) {
    CAPTURE(round);
    std::filesystem::rename(log, log + ".1");
    Process reexec = app.site().launch("reexec");
    let_pass(milliseconds(3 * round));
    app.master().signal(SIGUSR1);
    CHECK(reexec.wait().status == Exit::ok);
    REQUIRE(eventually([&] { return std::filesystem::exists(log); }));
    std::filesystem::remove(log + ".1");
  }
}

TEST_CASE_FIXTURE(Scenario, "an upgrade that is under way is waited for, or a re-execution refused") {
  Instance app(*this, fixture("version_v1"), options + Words{"--probation", "2s"});
  Process upgrade = app.site().launch("upgrade", {fixture("version_v2")});
  REQUIRE(eventually([&] { return app.status().contains("upgrade"); }));
  const auto refused = app.run("reexec", {"--timeout", "50ms"});
  CHECK(refused.status == Exit::refused);
  CHECK(contains(refused.err, "an upgrade to"));
  reexecute(app);
  CHECK(upgrade.wait().status == Exit::ok);
  CHECK(app.serves(fixture("version_v2")));
  CHECK(app.status()["generation"] == 2);
}

TEST_CASE_FIXTURE(Scenario, "clients of the control protocol stay connected") {
  Instance app(*this, fixture("version_v1"), options);
  Connection idle(local_door(app.site())), half(local_door(app.site()));
  REQUIRE(half.send("{\"cmd\":\"sta"));
  // A client that has been accepted.
  REQUIRE(idle.send("{\"cmd\":\"status\"}\n"));
  CHECK(answer_of(idle)["value"] == "OK");
  reexecute(app);
  REQUIRE(idle.send("{\"cmd\":\"status\"}\n"));
  CHECK(answer_of(idle)["status"]["executions"] == 1);
  REQUIRE(half.send("tus\"}\n"));
  CHECK(answer_of(half)["status"]["executions"] == 1);
  Connection tcp(tcp_door(app.site()));
  REQUIRE(tcp.send(Json{{"cmd", "status"}, {"token", token_of(app.site())}}.dump() + "\n"));
  CHECK(answer_of(tcp)["value"] == "OK");
}

TEST_CASE_FIXTURE(Scenario, "a program that cannot run, or cannot read the state, is not executed") {
  Instance app(*this, fixture("version_v1"), options);
  const Kept kept(app);
  const auto fails = [&](const std::string& path, const std::string& why) {
    CAPTURE(path);
    const auto finished = app.run("reexec", {"--binary", path});
    CHECK(finished.status != Exit::ok);
    CHECK_MESSAGE(contains(finished.err, why), finished.err);
    kept.check();
    CHECK(contains(http_get(app.address()), "v1"));
    CHECK(executions(app) == 0);
  };
  fails(dir.path() + "/nowhere", "No such file or directory");
  fails(dir.path(), "is no regular file");
  fails(script(*this, "text", "no program"), "execute");
  fails(script(*this, "killed", "#!/bin/sh\nkill -9 $$\n"), "killed by SIGKILL");
  fails(script(*this, "says", "#!/bin/sh\necho it is too old >&2\nexit 1\n"), "it is too old");
  fails(script(*this, "ignores", "#!/bin/sh\nexit 0\n"), "is not liveswap");
}

// The trial passes, and the program cannot go on all the same: it has no worker host beside it.
TEST_CASE_FIXTURE(Scenario, "a program that fails after it was executed goes back to the one before") {
  Instance app(*this, fixture("version_v1"), options);
  const Kept kept(app);
  const std::string copy = dir.path() + "/liveswap-alone";
  std::filesystem::copy_file(liveswap_program(), copy);
  const std::string liar = script(*this, "liar",
                                  "#!/bin/sh\n[ \"$1\" = --read-state ] && exec " + liveswap_program() +
                                      " \"$@\"\nexec " + copy + " \"$@\"\n");
  Load load(*this, app.address(), {"--rate", "200"});
  const auto finished = app.run("reexec", {"--binary", liar});
  CHECK(finished.status == Exit::failed);
  CHECK_MESSAGE(contains(finished.err, "liveswap-worker"), finished.err);
  kept.check();
  reexecute(app);
  kept.check();
  load.stop().check_nothing_lost();
}

// A server that binds its own listeners, TCP and Unix, and a taken-over one is served by a respawned worker.
TEST_CASE_FIXTURE(Scenario, "listeners of the application are kept") {
  Port port;
  const std::string path = dir.path() + "/app.sock";
  Instance app(std::make_shared<Site>(*this), own_fixture("binder_v1"), options + Words{"--entry", "main"},
               {port.text()});
  const std::string address = port.address();
  Load load(*this, address, {"--rate", "200"});
  reexecute(app);
  CHECK(app.upgrade(own_fixture("binder_v2")).status == Exit::ok);
  reexecute(app);
  const auto report = load.stop();
  report.check_nothing_lost();
  const auto before = app.workers();
  ::kill(before[0], SIGKILL);
  CHECK(eventually([&] { return app.workers().size() == before.size() && app.workers() != before; }));
  CHECK(contains(http_get(address), "v2"));
}

// A worker host of another build, with the store beside it.
std::string worker_host_of_channel(const Scenario& scenario, const std::string& version) {
  const std::filesystem::path build = std::filesystem::path(liveswap_program()).parent_path();
  const std::string directory = scenario.dir.path() + "/hosts";
  std::filesystem::create_directories(directory);
  std::filesystem::copy_file(build / "test/scenario" / ("worker-of-channel-" + version),
                             directory + "/liveswap-worker",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::create_symlink(build / "liveswap-store", directory + "/liveswap-store");
  return directory + "/liveswap-worker";
}

// The new program drives worker hosts of the version before: messages, drains, upgrades.
TEST_CASE_FIXTURE(Scenario, "worker hosts of an earlier version are adopted") {
  Instance app(*this, fixture("version_v1"),
               options + Words{"--worker-host", worker_host_of_channel(*this, "0")});
  const Kept kept(app);
  Load load(*this, app.address(), {"--rate", "200"});
  reexecute(app);
  kept.check();
  CHECK(app.run("message", {"hello"}).status == Exit::ok);
  CHECK(app.connections() < 1'000'000);
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "worker hosts of an earlier version are not asked whether they answer") {
  Instance app(*this, fixture("version_v1"),
               options + Words{"--worker-host", worker_host_of_channel(*this, "0"), "--liveness", "connect",
                               "--liveness-interval", "50ms", "--liveness-limit", "50ms"});
  const auto before = app.workers();
  REQUIRE(app.master().says("its worker host is of an earlier version"));
  CHECK_FALSE(contains(app.master().err(), "does not answer"));
  CHECK(app.workers() == before);
  CHECK(app.serves(fixture("version_v1")));
}

TEST_CASE_FIXTURE(Scenario, "worker hosts of a later version are refused") {
  Instance app(*this, fixture("version_v1"),
               options + Words{"--worker-host", worker_host_of_channel(*this, "1000")});
  const auto finished = app.run("reexec");
  CHECK(finished.status == Exit::failed);
  CHECK(contains(finished.err, "speaks version 1000 of the channel, this program 3"));
  CHECK(contains(http_get(app.address()), "v1"));
}

// What the workers write still reaches the log, and the file is opened anew as before.
TEST_CASE_FIXTURE(Scenario, "the log and the workers' output go on") {
  const std::string log = dir.path() + "/log";
  Instance app(*this, fixture("version_v1"), options + Words{"--log-file", log});
  reexecute(app);
  CHECK(contains(read_file(log), "reexec: version"));
  std::filesystem::rename(log, log + ".1");
  app.master().signal(SIGUSR1);
  CHECK(eventually([&] { return contains(read_file(log), "the log file was opened anew"); }));
  CHECK(app.upgrade(fixture("version_v2")).status == Exit::ok);
  CHECK(contains(read_file(log), "committed"));
}

}  // namespace
}  // namespace scenario
