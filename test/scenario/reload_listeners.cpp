// `liveswap reload` with listeners that come, go, and change their mode and backlog.
#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/load.hpp"
#include "support/port.hpp"
#include "support/visitor.hpp"

namespace scenario {
namespace {

// The inodes of the sockets that listen at an IPv4 port.
std::set<std::string> listening_at(const Port& port) {
  std::set<std::string> found;
  std::ifstream table("/proc/net/tcp");
  std::string line;
  char wanted[8];
  std::snprintf(wanted, sizeof wanted, ":%04X", port.number());
  while (std::getline(table, line)) {
    char local[32], remote[32], state[8], inode[32];
    if (std::sscanf(line.c_str(), " %*s %31s %31s %7s %*s %*s %*s %*s %*s %31s", local, remote, state,
                    inode) == 4 &&
        std::string(state) == "0A" && std::string(local).ends_with(wanted))
      found.insert(inode);
  }
  return found;
}

// A master with a configuration file; its application serves the listeners that the arguments name, too.
class Configured {
 public:
  explicit Configured(Scenario& scenario, const std::string& listen, const std::string& more = "")
      : site_(scenario), file_(scenario.dir / "liveswap.yaml") {
    write(listen, more);
    master_.emplace(site_.launch("start", {"-c", file_}));
    if (!eventually([&] { return site_.status().value("state", "") == "running"; }))
      FAIL("the master has not started: " << master_->err());
  }
  ~Configured() {
    site_.run("die");
    master_->wait();
  }

  void write(const std::string& listen, const std::string& more = "") const {
    write_file(file_, "target: " + own_fixture("report") + "\nlisten: [" + listen + "]\nlog-file: " + file_ +
                          ".log\nprobation: none\n" + more);
  }
  Finished reload(const Words& options = {}) const { return site_.run("reload", options); }
  std::string log() const { return read_file(file_ + ".log"); }
  Json listeners() const { return site_.status().at("listeners"); }
  Words pids() const {
    Words found;
    const auto status = site_.status();
    for (const auto& slot : status.at("slots"))
      for (const auto& worker : slot.at("workers"))
        if (worker.at("state") == "ready") found.push_back(worker.at("pid").dump());
    return found;
  }
  const Site& site() const { return site_; }

 private:
  Site site_;
  std::string file_;
  std::optional<Process> master_;
};

// The listener `m` at that port.
std::string named(const Port& port) { return "m=" + port.address(); }

bool refuses(const std::string& address) { return !Connection::attempt(address); }

const std::string both = "forks: 2\narguments: [m, x, y]\n";

TEST_CASE_FIXTURE(Scenario,
                  "a listener comes and goes: the others lose nothing, its own clients are served first") {
  const Port main, extra;
  Configured app(*this, named(main), both);
  Load load(*this, main.address());
  app.write("x=" + extra.address() + ", " + named(main), both);
  const auto planned = app.reload({"--dry-run"});
  CHECK(contains(planned.out, "listen (x=" + extra.address() + " added"));
  CHECK(listening_at(extra).empty());
  const auto added = app.reload();
  REQUIRE_MESSAGE(added.status == Exit::ok, added.err);
  CHECK(contains(http_get(extra.address()), "generation=2"));
  CHECK(app.listeners().size() == 2);
  CHECK(app.listeners().at(0).at("name") == "x");
  {
    const Visitor visitor(extra.address());
    CHECK(eventually([&] { return visitor.served() > 20; }));
    app.write(named(main), both);
    const auto removed = app.reload();
    REQUIRE_MESSAGE(removed.status == Exit::ok, removed.err);
    CHECK(contains(removed.out, "x=" + extra.address() + " removed"));
    CHECK(eventually([&] { return visitor.refused() > 0; }));
    CHECK(visitor.broken() == 0);
  }
  load.stop().check_nothing_lost();
  CHECK(app.listeners().size() == 1);
  CHECK(eventually([&] { return listening_at(extra).empty(); }));
  CHECK(contains(app.log(), "listener x: " + extra.address() + " is closed"));
  CHECK(contains(app.reload().out, "nothing has changed"));
  // Once more, at the address that was just left.
  app.write(named(main) + ", y=" + extra.address(), both);
  CHECK(app.reload().status == Exit::ok);
  CHECK(contains(http_get(extra.address()), "listener=y"));
}

TEST_CASE_FIXTURE(Scenario,
                  "a listener that goes is refused to new clients while an old worker still has it") {
  const Port main, extra;
  Configured app(*this, named(main) + ", x=" + extra.address(), "forks: 1\narguments: [m, x]\n");
  Connection slow(main.address());
  CHECK(eventually([&] {
    return app.site().status().at("slots").at(0).at("workers").at(0).value("connections", 0) == 1;
  }));
  app.write(named(main), "forks: 1\narguments: [m, x]\n");
  const Process reloading = app.site().launch("reload");
  CHECK(eventually([&] { return refuses(extra.address()); }));
  // Back again, at the same address, while the old worker has the former socket.
  app.write(named(main) + ", x=" + extra.address(), "forks: 1\narguments: [m, x]\n");
  const Process again = app.site().launch("reload");
  CHECK(eventually([&] { return !refuses(extra.address()); }));
  CHECK(contains(http_get(extra.address()), "generation=3"));
  CHECK(slow.send("GET / HTTP/1.1\r\n\r\n"));
  CHECK(contains(slow.read_all(), "generation=1"));
}

TEST_CASE_FIXTURE(Scenario, "an address that cannot be bound is named, and nothing is changed") {
  const Port main, taken;
  Configured app(*this, named(main), both);
  const auto before = app.pids();
  const auto sockets = listening_at(main);
  Instance other(*this, fixture("version_v1"), {"--listen", taken.address()});
  for (const std::string& listen : {"x=" + taken.address(), "x=127.0.0.1:0, y=" + taken.address()}) {
    app.write(named(main) + ", " + listen, "forks: 3\narguments: [m, x, y]\nbacklog: 7\n");
    const auto refused = app.reload();
    CHECK(refused.status == Exit::refused);
    CHECK(contains(refused.err, "cannot bind " + taken.address()));
    CHECK(contains(refused.err, "nothing was changed"));
    CHECK(app.pids() == before);
    CHECK(listening_at(main) == sockets);
    CHECK(app.listeners().size() == 1);
    CHECK(app.site().status().at("forks") == 2);
  }
}

TEST_CASE_FIXTURE(Scenario, "a generation that fails leaves every socket as it was") {
  const Port main, goes, comes;
  const std::string crash = dir / "crash";
  const std::string good = "forks: 2\narguments: [m, x, y]\n";
  const std::string bad =
      "forks: 3\nlisten-mode: shared\nbacklog: 9\narguments: [m, x, y, crash-if=" + crash + "]\n";
  Configured app(*this, named(main) + ", x=" + goes.address(), good);
  write_file(crash, "");
  const auto of_main = listening_at(main), of_x = listening_at(goes);
  Load load(*this, main.address());
  {
    const Visitor visitor(goes.address());
    app.write("y=" + comes.address() + ", " + named(main), bad);
    const auto failed = app.reload();
    CHECK(failed.status == Exit::reverted);
    // The slots that were added are gone when the answer comes.
    CHECK(app.site().status().at("slots").size() == 2);
    const auto so_far = visitor.served();
    CHECK(eventually([&] { return visitor.served() > so_far; }));
    CHECK(visitor.broken() == 0);
    CHECK(visitor.refused() == 0);
  }
  load.stop().check_nothing_lost();
  CHECK(eventually([&] { return listening_at(comes).empty(); }));
  CHECK(listening_at(goes) == of_x);
  CHECK(eventually([&] { return listening_at(main) == of_main; }));
  CHECK(refuses(comes.address()));
  CHECK(app.listeners().at(1).at("name") == "x");
  CHECK(app.site().status().at("listen_mode") == "reuseport");
  // The same change without the crash.
  ::unlink(crash.c_str());
  const auto again = app.reload();
  CHECK_MESSAGE(again.status == Exit::ok, again.err);
  CHECK(contains(http_get(comes.address()), "HTTP/1.1 200"));
  CHECK(eventually([&] { return listening_at(main).size() == 1; }));
}

TEST_CASE_FIXTURE(Scenario,
                  "mode and backlog change under load, without a loss; a backlog needs no new worker") {
  const Port main;
  Configured app(*this, named(main), "forks: 3\n");
  CHECK(listening_at(main).size() == 3);
  Load load(*this, main.address());
  app.write(named(main), "forks: 3\nlisten-mode: shared\n");
  CHECK(app.reload().status == Exit::ok);
  CHECK(eventually([&] { return listening_at(main).size() == 1; }));
  app.write(named(main), "forks: 3\nlisten-mode: reuseport\n");
  CHECK(app.reload().status == Exit::ok);
  CHECK(listening_at(main).size() == 3);
  const auto before = app.pids();
  app.write(named(main), "forks: 3\nbacklog: 17\n");
  const auto reloaded = app.reload();
  CHECK(contains(reloaded.out, "backlog (4096 → 17) at once"));
  CHECK(app.pids() == before);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario,
                  "a listener moves to another address, host name or Unix path, and gets another name") {
  const Port main, other;
  const std::string path = dir / "x.sock";
  Configured app(*this, "x=" + main.address(), both);
  Load load(*this, main.address());
  // The same port for every address of the machine, and a Unix socket.
  app.write("x=0.0.0.0:" + main.text() + ", y=unix:" + path, both);
  auto reloaded = app.reload();
  REQUIRE_MESSAGE(reloaded.status == Exit::ok, reloaded.err);
  CHECK(contains(http_get("127.0.0.2:" + main.text()), "generation=2"));
  CHECK(contains(http_get("unix:" + path), "listener=y"));
  app.write("y=0.0.0.0:" + main.text() + ", x=localhost:" + other.text(), both);
  reloaded = app.reload();
  REQUIRE_MESSAGE(reloaded.status == Exit::ok, reloaded.err);
  CHECK(contains(http_get(main.address()), "generation=3"));
  CHECK(contains(reloaded.out, "unix:" + path));
  CHECK(eventually([&] { return ::access(path.c_str(), F_OK) != 0; }));
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "--json tells the changes also with a new generation") {
  const Port main, extra;
  Configured app(*this, named(main), both);
  app.write(named(main) + ", x=" + extra.address(), both);
  const auto answer = Json::parse(app.reload({"--json"}).out);
  CHECK(answer.at("changes").at(0).at("key") == "listen");
  CHECK(answer.at("changes").at(0).at("applies") == "new generation");
}

}  // namespace
}  // namespace scenario
