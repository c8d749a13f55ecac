// The master is killed while something is under way: a flip, an upgrade, a reload, a worker that starts, a
// server's forked children. The next master carries it on, or reverts it.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include "support/connection.hpp"
#include "support/control.hpp"
#include "support/load.hpp"
#include "support/mortal.hpp"
#include "support/plans.hpp"
#include "support/visitor.hpp"

namespace scenario {
namespace {

const Words quick{"--settle",     "20ms",  "--drain-limit",     "10s",
                  "--term-grace", "500ms", "--keepalive-grace", "5s"};

std::string forked(const std::string& version) { return own_fixture("forker_" + version); }

// How often the master is killed in the tests with random moments.
int kills() {
  const char* given = std::getenv("LIVESWAP_KILLS");
  return given ? std::atoi(given) : 6;
}

unsigned seed() {
  const char* given = std::getenv("LIVESWAP_SEED");
  return given ? static_cast<unsigned>(std::atoi(given)) : 20'261'130;
}

Json receipts(const Site& site) {
  const auto finished = site.run("history", {"1000", "--json"});
  return finished.status == Exit::ok ? Json::parse(finished.out) : Json();
}

// Each slot has one worker, and nothing is under way.
bool is_whole(const Site& site, std::size_t slots) {
  const auto status = site.status();
  if (status.value("state", "") != "running" || status["slots"].size() != slots) return false;
  return std::all_of(status["slots"].begin(), status["slots"].end(), [](const Json& slot) {
    return slot["workers"].size() == 1 && slot["workers"][0]["state"] == "ready";
  });
}

TEST_CASE_FIXTURE(Scenario, "two listeners with flipped sets of sockets are taken over, and flip again") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    const Port second;
    const std::string path = "unix:" + (dir / mode);
    Mortal app(*this, own_fixture("report"),
               quick + Words{"--listen-mode", mode, "--listen", "second=" + second.address(), "--listen",
                             "third=" + path},
               {"second", "third"});
    std::vector<std::unique_ptr<Load>> loads;
    for (const auto& address : {app.address(), second.address()})
      loads.push_back(std::make_unique<Load>(*this, address, Words{"--rate", "150"}));
    for (int i = 0; i < 3; ++i) {
      CHECK(app->upgrade(own_fixture("report"), {"--flip"}).status == Exit::ok);
      const auto workers = app->workers();
      app.kill();
      for (const auto& address : {app.address(), second.address(), path})
        CHECK(contains(http_get(address), "generation=" + std::to_string(i + 2)));
      app.start();
      CHECK(app->workers() == workers);
    }
    // In the middle of a flip.
    for (const char* event : {"ready", "flipping", "flipped"}) {
      CAPTURE(event);
      CHECK(upgrade_until(app.site(), own_fixture("report"), event, 1, {{"flip", true}}));
      app.kill();
      app.start();
      CHECK(eventually([&] { return is_whole(app.site(), 2); }));
    }
    CHECK(app->upgrade(own_fixture("report")).status == Exit::ok);
    for (auto& load : loads) load->stop().check_nothing_lost();
    for (const auto& address : {app.address(), second.address(), path})
      CHECK(contains(http_get(address), "HTTP/1.1 200"));
  }
}

// Tells when a file has got its name by a rename.
class RenameWatch {
 public:
  RenameWatch(const std::string& directory, std::string name)
      : fd_(liveswap::UniqueFd::adopt(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK))), name_(std::move(name)) {
    REQUIRE(::inotify_add_watch(fd_.get(), directory.c_str(), IN_MOVED_TO) >= 0);
  }
  // false: not within 10 s.
  bool wait() const {
    const auto limit = Clock::now() + std::chrono::seconds(10);
    alignas(inotify_event) char buffer[4096];
    while (Clock::now() < limit) {
      pollfd event{fd_.get(), POLLIN, 0};
      if (::poll(&event, 1, 1'000) != 1) continue;
      const ssize_t size = ::read(fd_.get(), buffer, sizeof buffer);
      for (ssize_t at = 0; at < size;) {
        const auto* one = reinterpret_cast<const inotify_event*>(buffer + at);
        if (one->len > 0 && name_ == one->name) return true;
        at += static_cast<ssize_t>(sizeof *one + one->len);
      }
    }
    return false;
  }

 private:
  liveswap::UniqueFd fd_;
  std::string name_;
};

// The file of the Unix listener changes in the middle of a flip: after the first TCP listener and before the
// last one.
TEST_CASE_FIXTURE(Scenario, "a master that is killed within a flip loses nothing") {
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    const Port last;
    const std::string directory = dir / ("sockets-" + mode), file = directory + "/app.sock";
    std::filesystem::create_directory(directory);
    Mortal app(*this, own_fixture("report"),
               quick + Words{"--listen-mode", mode, "--listen", "second=unix:" + file, "--listen",
                             "last=" + last.address()},
               {"second", "last"});
    std::vector<std::unique_ptr<Load>> loads;
    for (const auto& address : {app.address(), last.address()})
      loads.push_back(std::make_unique<Load>(*this, address, Words{"--rate", "150"}));
    loads.push_back(std::make_unique<Load>(*this, "localhost", Words{"--rate", "150", "--unix", file}));
    for (int i = 0; i < kills(); ++i) {
      CAPTURE(i);
      const RenameWatch exchange(directory, "app.sock");
      Process upgrade = app.site().launch("upgrade", {own_fixture("report"), "--flip"});
      CHECK(exchange.wait());
      app.kill();
      upgrade.wait();
      app.start();
      CHECK(eventually([&] { return is_whole(app.site(), 2); }));
      CHECK_FALSE(contains(app.log(), "reset"));
    }
    for (auto& load : loads) load->stop().check_nothing_lost();
  }
}

// A connection of the old set, and one that waits in an accept queue.
TEST_CASE_FIXTURE(Scenario, "connections that were open at a flip and at the kill are answered") {
  Mortal app(*this, fixture("version_v1"), quick);
  Connection held(app.address());
  REQUIRE(held.send("GET / HTTP/1.1\r\nHost: x\r\n"));
  REQUIRE(eventually([&] { return app->connections() == 1; }));
  CHECK(app->upgrade(fixture("version_v2"), {"--flip", "--detach"}).status == Exit::ok);
  REQUIRE(eventually([&] { return app->status()["generation"] == 2; }));
  Connection young(app.address());
  REQUIRE(young.send("GET / HTTP/1.1\r\n"));
  app.kill();
  Connection orphaned(app.address());
  REQUIRE(orphaned.send("GET / HTTP/1.1\r\nHost: x"));
  app.start();
  REQUIRE(held.send("\r\n"));
  CHECK(contains(held.read_all(), "v1"));
  REQUIRE(young.send("Host: x\r\n\r\n"));
  CHECK(contains(young.read_all(), "v2"));
  REQUIRE(orphaned.send("\r\n\r\n"));
  CHECK(contains(orphaned.read_all(), "v2"));
  CHECK(eventually([&] { return is_whole(app.site(), 2); }));
}

TEST_CASE_FIXTURE(Scenario, "an upgrade under way ends: HEAD, workers and receipt agree") {
  const std::pair<const char*, int> steps[] = {{"started", 1},   {"spawned", 1}, {"ready", 1},
                                               {"draining", 1},  {"ready", 2},   {"probation", 1},
                                               {"committed", 1}, {"leaving", 1}};
  Mortal app(*this, fixture("version_v1"), quick + Words{"--probation", "100ms"});
  Load load(*this, app.address(), {"--rate", "200"});
  std::string before = "v1";
  for (const auto& [event, count] : steps) {
    CAPTURE(event);
    CAPTURE(count);
    const std::string next = before == "v1" ? "v2" : "v1";
    const auto target = fixture("version_" + next);
    const auto number = receipts(app.site()).size();
    CHECK(upgrade_until(app.site(), target, event, count));
    app.kill();
    app.start();
    CHECK(eventually([&] { return is_whole(app.site(), 2); }));
    const bool is_committed = app->head() == target + "\n";
    CHECK(is_committed == (std::string(event) == "committed" || std::string(event) == "leaving"));
    if (is_committed) before = next;
    CHECK(app->serves(fixture("version_" + before)));
    CHECK(eventually([&] { return receipts(app.site()).size() == number + 1; }));
    const auto receipt = Json::parse(app->run("receipt", {"--json"}).out);
    CHECK(receipt["kind"] == "upgrade");
    CHECK(receipt["to"]["path"] == target);
    CHECK(receipt["outcome"] == (is_committed ? "ok" : "reverted"));
    if (!is_committed) CHECK(contains(receipt["reason"].get<std::string>(), "the master was killed"));
  }
  load.stop().check_nothing_lost();
}

// Most of the times the state that the next master gets is older than the receipt.
TEST_CASE_FIXTURE(Scenario,
                  "a master that is killed when it has written a receipt: the history has it once") {
  Mortal app(*this, own_fixture("report"), quick);
  for (int i = 0; i < kills(); ++i) {
    CAPTURE(i);
    const auto number = static_cast<std::size_t>(i) + 2;  // the start has the first one
    const RenameWatch written(app.site().state_dir() + "/history", std::to_string(number) + ".json");
    Process upgrade = app.site().launch("upgrade", {own_fixture("report")});
    CHECK(written.wait());
    app.kill();
    upgrade.wait();
    app.start();
    CHECK(eventually([&] { return is_whole(app.site(), 2); }));
    const auto found = receipts(app.site());
    REQUIRE(found.size() == number);
    CHECK(found.back()["outcome"] == "ok");
  }
  CHECK(app->upgrade(own_fixture("report")).status == Exit::ok);
  CHECK(receipts(app.site()).size() == static_cast<std::size_t>(kills()) + 2);
}

TEST_CASE_FIXTURE(Scenario, "a worker that was starting at the kill becomes ready under the next master") {
  const Port tcp;
  const std::string gate = dir / "gate";
  const auto plan = plan_of(*this, "plan", {"listen " + tcp.text(), "ready " + gate});
  write_file(gate, "");
  Mortal app(*this, own_fixture("binder_v1"), quick + Words{"--entry", "main"}, {plan});
  ::unlink(gate.c_str());
  const auto workers = app->workers();
  ::kill(workers[0], SIGKILL);
  // Its successor.
  pid_t starting = 0;
  REQUIRE(eventually([&] {
    const Json status = app->status();
    for (const auto& slot : status["slots"])
      for (const auto& worker : slot["workers"])
        if (worker["state"] == "starting" && worker["pid"] != 0) starting = worker["pid"];
    return starting != 0;
  }));
  app.kill();
  app.start();
  CHECK(contains(app.log(), "took over 2 workers"));
  write_file(gate, "");
  CHECK(eventually([&] { return is_whole(app.site(), 2); }));
  CHECK(app->workers() == std::vector<pid_t>{starting, workers[1]});
}

TEST_CASE_FIXTURE(Scenario, "children that serve connections go on, and the drain of their worker waits") {
  Mortal app(*this, forked("v1"), quick, {"return", "kept"});
  Sessions sessions({app.address()}, {4, 10, milliseconds(5)});
  REQUIRE(sessions.all_began());
  for (int i = 0; i < 4; ++i) {
    const auto workers = app->workers();
    app.kill();
    CHECK(all_run(workers));
    app.start();
    CHECK(app->workers() == workers);
    const auto finished = app->upgrade(forked(i % 2 == 0 ? "v2" : "v1"));
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK_MESSAGE(!contains(finished.out, "died"), finished.out);
  }
  check_nothing_lost(sessions);
}

// The worker exits at once, and nobody but the master limits the time of its child.
TEST_CASE_FIXTURE(Scenario, "a child that an adopted worker has left is ended at the drain limit") {
  Mortal app(*this, forked("v1"),
             quick + Words{"--forks", "1", "--drain-limit", "4s", "--term-grace", "100ms"},
             {"return", "stuck"});
  Connection client(app.address());
  REQUIRE(client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  const pid_t worker = app->workers().at(0);
  REQUIRE(eventually([&] { return proc::descendants(worker).size() == 1; }));
  const auto children = proc::descendants(worker);
  app.kill();
  app.start();
  REQUIRE(app->workers().at(0) == worker);
  const auto finished = app->upgrade(forked("v2"));
  CHECK_MESSAGE(finished.status == Exit::failed, finished.err);  // it cut the child's connection
  CHECK(contains(app.log(), "waiting for 1 connection of its forked processes"));
  CHECK(eventually([&] { return all_gone(children); }));
}

TEST_CASE_FIXTURE(Scenario, "an adopted worker that dies takes its children with it") {
  Mortal app(*this, forked("v1"), quick + Words{"--forks", "1"}, {"return", "stuck"});
  Connection client(app.address());
  REQUIRE(client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n"));
  const pid_t worker = app->workers().at(0);
  REQUIRE(eventually([&] { return proc::descendants(worker).size() == 1; }));
  const auto children = proc::descendants(worker);
  app.kill();
  app.start();
  ::kill(worker, SIGKILL);
  CHECK(eventually([&] { return all_gone(children); }));
  CHECK(app->serves(forked("v1")));
}

// A master with a configuration file.
class Configured {
 public:
  explicit Configured(Scenario& scenario) : site_(scenario), file_(scenario.dir / "liveswap.yaml") {}
  ~Configured() {
    if (master_) site_.run("die"), master_->wait();
  }
  void write(const std::string& listen, const std::string& more) const {
    write_file(file_, "target: " + own_fixture("report") + "\nlisten: [" + listen +
                          "]\nforks: 2\narguments: [m, x, y]\nprobation: none\nsettle: 20ms\n" + more);
  }
  void start() {
    master_.emplace(site_.launch("start", {"-c", file_}));
    REQUIRE_MESSAGE(eventually([&] { return site_.status().value("state", "") == "running"; }),
                    master_->err());
  }
  void kill() {
    master_->signal(SIGKILL);
    master_->wait();
    master_.reset();
  }
  const Site& site() const { return site_; }
  std::string log() const { return master_->err(); }

 private:
  Site site_;
  std::string file_;
  std::optional<Process> master_;
};

// The names and addresses of those that are not leaving.
std::set<std::string> listeners(const Json& status) {
  std::set<std::string> found;
  for (const auto& one : status.value("listeners", Json::array()))
    if (!one.value("leaving", false))
      found.insert(one["name"].get<std::string>() + "=" + one["address"].get<std::string>());
  return found;
}

// Listeners come, go and change their mode, and workers get another environment.
TEST_CASE_FIXTURE(Scenario, "a reload under way reverts, and the next start applies its file") {
  std::mt19937 random(seed());
  const Port main, other;
  const std::string m = "m=" + main.address(), x = "x=" + other.address();
  const std::string path = "y=unix:" + (dir / "y.sock");
  struct {
    std::string listen, more;
    std::set<std::string> expected;
  } const files[] = {{m, "", {m}},
                     {m + ", " + x, "listen-mode: shared\n", {m, x}},
                     {x + ", " + m + ", " + path, "environment: {MODE: late}\n", {m, x, path}},
                     {m + ", " + path, "backlog: 99\n", {m, path}}};
  Configured app(*this);
  app.write(files[0].listen, files[0].more);
  app.start();
  Load load(*this, main.address(), {"--rate", "200"});
  const Visitor visitor(other.address());
  for (int i = 1; i <= kills(); ++i) {
    CAPTURE(i);
    const auto& file = files[static_cast<std::size_t>(i) % std::size(files)];
    app.write(file.listen, file.more);
    Process reload = app.site().launch("reload");
    let_pass(milliseconds(random() % 120));
    app.kill();
    reload.wait();
    app.start();
    CHECK_MESSAGE(eventually([&] {
                    return is_whole(app.site(), 2) && listeners(app.site().status()) == file.expected;
                  }),
                  app.site().status().dump(), "\n", app.log());
    CHECK_FALSE(contains(app.log(), "cannot be taken over"));
  }
  load.stop().check_nothing_lost();
  CHECK(visitor.broken() == 0);
}

}  // namespace
}  // namespace scenario
