// Listeners that applications bind themselves, through whole upgrades: what is held, what is dropped and
// when, how an old worker ends, and what is refused.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "support/load.hpp"
#include "support/proc.hpp"
#include "support/sessions.hpp"

namespace scenario {
namespace {

const Words as_a_program{"--entry", "main"};
const std::string v1 = BINDER_BUILD "/libbinder_v1.so", v2 = BINDER_BUILD "/libbinder_v2.so";

// A directory with the plans of both versions.
class Plans {
 public:
  explicit Plans(const TempDir& dir) : path_(dir.directory("plans")) {}
  void set(const std::string& version, const Words& lines) const {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    write_file(path_ + "/" + version + ".plan", text);
  }
  void set_both(const Words& lines) const {
    set("v1", lines);
    set("v2", lines);
  }
  Words arguments() const { return {path_}; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  bool has(const std::string& name) const { return std::filesystem::exists(path_ + "/" + name); }

 private:
  std::string path_;
};

// The addresses of the application listeners, as `status` shows them.
Words taken(const Instance& app) {
  Words found;
  const Json status = app.status();
  for (const auto& one : status.value("listeners", Json::array()))
    if (one.value("application", false)) found.push_back(one.value("address", ""));
  std::sort(found.begin(), found.end());
  return found;
}

bool answers(const std::string& address, const std::string& version) {
  const auto connection = Connection::attempt(address);
  return connection && contains(http_get(address), version);
}

bool is_refused(const std::string& address) { return !Connection::attempt(address); }

void check_upgrade(const Instance& app, const std::string& library, const Words& options = {}) {
  const auto finished = app.upgrade(library, options);
  CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
}

void check_no_failures(Sessions& sessions) {
  for (const auto& [what, count] : sessions.stop()) FAIL_CHECK(count, " times: ", what);
  CHECK(sessions.answers() > 0);
}

// A connection with one answered request, for further requests.
Connection keep(const std::string& address) {
  Connection connection(address);
  REQUIRE(connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  REQUIRE(contains(connection.read_line(), "200"));
  while (connection.read_line() != "\r\n") continue;
  connection.read_exactly(2);
  return connection;
}

bool still_answers(Connection& connection) {
  if (!connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") || !contains(connection.read_line(), "200"))
    return false;
  while (connection.read_line() != "\r\n") continue;
  return connection.read_exactly(2).size() == 2;
}

bool are_replaced(const Instance& app, const std::vector<pid_t>& old) {
  const auto now = app.workers();
  return now.size() == old.size() && std::none_of(now.begin(), now.end(), [&](pid_t pid) {
           return std::count(old.begin(), old.end(), pid) > 0;
         });
}

// Starts the upgrade and waits until every slot has a successor. The old workers may go on draining.
void begin_upgrade(const Instance& app, const std::string& library) {
  const auto old = app.workers();
  REQUIRE(app.upgrade(library, {"--detach"}).status == Exit::ok);
  REQUIRE(eventually([&] { return app.status().value("state", "") == "running" && are_replaced(app, old); }));
}

bool share_sockets(pid_t one, pid_t other) {
  std::set<std::string> held;
  for (const auto& [fd, what] : proc::descriptors(one)) held.insert(what);
  for (const auto& [fd, what] : proc::descriptors(other))
    if (what.starts_with("socket:") && held.contains(what)) return true;
  return false;
}

liveswap::UniqueFd datagrams_to(const Port& port) {
  auto fd = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.number());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string ask_by_datagram(int fd, int attempts = 20) {
  char answer[16];
  for (int attempt = 0; attempt < attempts; ++attempt) {
    if (::send(fd, "?", 1, 0) != 1) continue;
    pollfd wait{fd, POLLIN, 0};
    if (::poll(&wait, 1, 500) != 1) continue;
    const ssize_t size = ::recv(fd, answer, sizeof answer, 0);
    if (size > 0) return {answer, static_cast<std::size_t>(size)};
  }
  return "";
}

}  // namespace

TEST_CASE_FIXTURE(Scenario, "port 0 is one port, for two workers and through upgrades") {
  const Plans plans(dir);
  plans.set_both({"listen 0"});
  Instance app(*this, v1, as_a_program, plans.arguments());
  const auto addresses = taken(app);
  REQUIRE(addresses.size() == 1);
  Sessions sessions(addresses[0]);
  REQUIRE(sessions.all_began());
  check_upgrade(app, v2);
  CHECK(taken(app) == addresses);
  CHECK(answers(addresses[0], "v2"));
  check_upgrade(app, v1);
  CHECK(taken(app) == addresses);
  check_no_failures(sessions);
}

TEST_CASE_FIXTURE(Scenario,
                  "what the new code does not bind is refused after the commit, and what it adds answers") {
  const Plans plans(dir);
  const Port always, old, added;
  plans.set("v1", {"listen " + always.text(), "listen " + old.text()});
  plans.set("v2", {"listen " + always.text(), "listen " + added.text()});
  Instance app(*this, v1, as_a_program, plans.arguments());
  REQUIRE(answers(old.address(), "v1"));
  const auto before = app.workers();
  REQUIRE(app.upgrade(v2, {"--probation", "10m", "--detach"}).status == Exit::ok);
  REQUIRE(eventually([&] { return are_replaced(app, before); }));
  CHECK(answers(added.address(), "v2"));
  // Longer than an unused listener is kept after an upgrade. No worker serves there, so the client waits for
  // the end of the upgrade.
  let_pass(milliseconds(3'000));
  Connection waits(old.address());
  REQUIRE(waits.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(taken(app).size() == 3);
  CHECK(app.run("abort").status == Exit::ok);
  CHECK(contains(waits.read_line(), "200"));
  REQUIRE(eventually([&] { return app.serves(v1) && is_refused(added.address()); }));
  CHECK(answers(old.address(), "v1"));

  check_upgrade(app, v2);
  CHECK(eventually([&] { return is_refused(old.address()); }));
  CHECK(answers(added.address(), "v2"));
  CHECK(answers(always.address(), "v2"));
  CHECK(taken(app).size() == 2);
}

TEST_CASE_FIXTURE(Scenario, "slots that come and go serve what their workers bind") {
  const Plans plans(dir);
  plans.set_both({"listen 0"});
  Instance app(*this, v1, as_a_program, plans.arguments());
  const auto addresses = taken(app);
  REQUIRE(addresses.size() == 1);
  Load load(*this, addresses[0], {"--rate", "300"});
  for (const std::string count : {"4", "1", "3"}) {
    CAPTURE(count);
    const auto finished = app.run("forks", {count});
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    CHECK(taken(app) == addresses);
    CHECK(app.workers().size() == std::stoul(count));
  }
  check_upgrade(app, v2);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a failed upgrade leaves the listeners as they were") {
  const Plans plans(dir);
  const Port one, two, added;
  plans.set("v1", {"listen " + one.text(), "listen " + two.text()});
  plans.set("v2", {"listen " + added.text(), "listen " + one.text(), "fail"});
  Instance app(*this, v1, as_a_program, plans.arguments());
  const auto before = taken(app);
  CHECK(before.size() == 2);
  Sessions sessions({one.address(), two.address()}, {});
  REQUIRE(sessions.all_began());
  CHECK(app.upgrade(v2).status == Exit::reverted);
  CHECK(eventually([&] { return taken(app) == before; }));
  CHECK(is_refused(added.address()));
  check_no_failures(sessions);
  CHECK(answers(one.address(), "v1"));
  CHECK(answers(two.address(), "v1"));
}

TEST_CASE_FIXTURE(Scenario, "a listener that comes later is taken over, too") {
  const Plans plans(dir);
  const Port first, later;
  plans.set_both({"listen " + first.text(), "later 300 " + later.text()});
  Instance app(*this, v1, as_a_program, plans.arguments());
  REQUIRE(eventually([&] { return answers(later.address(), "v1"); }));
  REQUIRE(eventually([&] { return taken(app).size() == 2; }));
  Sessions sessions(first.address());
  REQUIRE(sessions.all_began());
  check_upgrade(app, v2);
  CHECK(eventually([&] { return answers(later.address(), "v2"); }));
  CHECK(taken(app).size() == 2);
  check_no_failures(sessions);
}

TEST_CASE_FIXTURE(Scenario, "a Unix socket that is removed and bound again stays connectable") {
  const Plans plans(dir);
  const std::string path = plans / "app.sock";
  plans.set_both({"listen unix:" + path});
  Instance app(*this, v1, as_a_program, plans.arguments());
  struct stat before {
  }, after{};
  REQUIRE(::lstat(path.c_str(), &before) == 0);
  Sessions sessions("unix:" + path);
  REQUIRE(sessions.all_began());
  for (const auto& library : {v2, v1, v2}) check_upgrade(app, library);
  check_no_failures(sessions);
  CHECK(sessions.answers_of("v2") > 0);
  REQUIRE(::lstat(path.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  CHECK(app.run("stop").status == Exit::ok);
  CHECK(app.master().wait().status == Exit::ok);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(Scenario, "datagrams are answered by the old code or the new") {
  const Plans plans(dir);
  const Port web, datagrams;
  plans.set_both({"udp " + datagrams.text(), "listen " + web.text()});
  Instance app(*this, v1, as_a_program, plans.arguments());
  const auto fd = datagrams_to(datagrams);
  REQUIRE(ask_by_datagram(fd.get()) == "v1");
  auto upgrade = app.site().launch("upgrade", {v2});
  while (upgrade.running()) CHECK_FALSE(ask_by_datagram(fd.get()).empty());
  CHECK(upgrade.wait().status == Exit::ok);
  CHECK(eventually([&] { return ask_by_datagram(fd.get()) == "v2"; }));
}

TEST_CASE_FIXTURE(
    Scenario, "a server of nothing but datagrams, at three ports, one of them with a thread that blocks") {
  const Plans plans(dir);
  const Port one, two, blocking;
  plans.set_both({"udp " + one.text(), "udp-thread " + blocking.text(), "udp " + two.text()});
  Instance app(*this, v1, as_a_program, plans.arguments());
  CHECK(taken(app).size() == 3);
  std::vector<liveswap::UniqueFd> sockets;
  for (const Port* port : {&one, &two, &blocking}) sockets.push_back(datagrams_to(*port));
  for (const auto& fd : sockets) CHECK(ask_by_datagram(fd.get()) == "v1");
  for (int i = 1; i <= 6; ++i) {
    const std::string library = i % 2 ? v2 : v1, version = i % 2 ? "v2" : "v1";
    auto upgrade = app.site().launch("upgrade", {library});
    while (upgrade.running())
      for (const auto& fd : sockets) CHECK_FALSE(ask_by_datagram(fd.get()).empty());
    const auto finished = upgrade.wait();
    CHECK_MESSAGE(finished.status == Exit::ok, finished.err);
    for (const auto& fd : sockets) CHECK(ask_by_datagram(fd.get()) == version);
  }
  CHECK(taken(app).size() == 3);
}

// A connection keeps the old worker alive. Its thread, which blocked on the socket when the socket was taken,
// must not get one more datagram.
TEST_CASE_FIXTURE(Scenario, "an old worker that waits for a datagram gets none") {
  const Plans plans(dir);
  const Port web, blocking;
  plans.set_both({"udp-thread " + blocking.text(), "listen " + web.text()});
  Instance app(*this, v1, as_a_program + Words{"--keepalive", "keep", "--forks", "1"}, plans.arguments());
  const auto fd = datagrams_to(blocking);
  REQUIRE(ask_by_datagram(fd.get()) == "v1");
  const pid_t old = app.workers().at(0);
  auto connection = keep(web.address());
  begin_upgrade(app, v2);
  REQUIRE(eventually([&] { return !share_sockets(old, app.workers().at(0)); }));
  // Then the worker host interrupts the old worker's thread, which cannot be observed.
  let_pass(milliseconds(300));
  for (int i = 0; i < 10; ++i) CHECK(ask_by_datagram(fd.get(), 1) == "v2");
  CHECK(still_answers(connection));
}

TEST_CASE_FIXTURE(Scenario, "what an old worker does to its listener hurts nobody") {
  const Plans plans(dir);
  const Port port;
  plans.set_both({"listen " + port.text()});
  for (const std::string mode : {"reuseport", "shared"}) {
    CAPTURE(mode);
    Instance app(*this, v1, as_a_program + Words{"--keepalive", "keep", "--listen-mode", mode},
                 plans.arguments());
    const auto old = app.workers();
    REQUIRE(old.size() == 2);
    // Connects until each worker has a connection.
    std::vector<Connection> kept;
    for (int i = 0; i < 64 && (i < 16 || app.connections() < 16); ++i) kept.push_back(keep(port.address()));
    Load load(*this, port.address(), {"--rate", "300"});
    begin_upgrade(app, v2);
    for (const pid_t pid : old) {
      REQUIRE(proc::runs(pid));
      // Repeats the signal: if it coincides with a thread interrupt (docs/explanation/blocking-calls.md), the
      // application acts upon it at its next event.
      CHECK(
          eventually([&] { return ::kill(pid, SIGUSR1) == 0 && plans.has("hurt." + std::to_string(pid)); }));
    }
    for (int i = 0; i < 100; ++i) CHECK(contains(http_get(port.address()), "v2"));
    for (Connection& one : kept) CHECK(still_answers(one));
    load.stop().check_nothing_lost();
    kept.clear();
    CHECK(eventually([&] { return std::none_of(old.begin(), old.end(), proc::runs); }));
  }
}

TEST_CASE_FIXTURE(Scenario, "in shared mode a worker that gives its listener up leaves it to the other") {
  const Plans plans(dir);
  const Port port;
  plans.set_both({"listen " + port.text()});
  Instance app(*this, v1, as_a_program + Words{"--listen-mode", "shared"}, plans.arguments());
  const pid_t one = app.workers().at(0);
  Load load(*this, port.address(), {"--rate", "300"});
  REQUIRE(::kill(one, SIGUSR1) == 0);
  CHECK(eventually([&] { return plans.has("hurt." + std::to_string(one)); }));
  for (int i = 0; i < 100; ++i) CHECK(contains(http_get(port.address()), "v1"));
  CHECK(proc::runs(one));
  check_upgrade(app, v2);
  load.stop().check_nothing_lost();
}

TEST_CASE_FIXTURE(Scenario, "a handler of SIGTERM gets its turn when an old worker has drained") {
  const Plans plans(dir);
  const Port port;
  plans.set("v1", {"term " + plans / "said-good-bye", "listen " + port.text()});
  plans.set("v2", {"listen " + port.text()});
  Instance app(*this, v1, as_a_program, plans.arguments());
  const auto old = app.workers();
  {
    const auto connection = keep(port.address());
    begin_upgrade(app, v2);
  }
  CHECK(eventually([&] { return std::none_of(old.begin(), old.end(), proc::runs); }));
  CHECK(plans.has("said-good-bye"));
}

TEST_CASE_FIXTURE(Scenario, "an idle connection is ended after the grace") {
  const Plans plans(dir);
  const Port port;
  plans.set_both({"listen " + port.text()});
  const Words patient{"--keepalive-grace", "1500ms", "--drain-limit", "10m"};
  Instance app(*this, v1, as_a_program + patient, plans.arguments());
  auto idle = keep(port.address());
  begin_upgrade(app, v2);
  // The connection is not ended at once, and still works. Its answer begins a new grace.
  CHECK_FALSE(idle.ends(milliseconds(400)));
  CHECK(still_answers(idle));
  CHECK_FALSE(idle.ends(milliseconds(800)));
  CHECK(idle.ends());
}

TEST_CASE_FIXTURE(Scenario, "what does not end by itself is ended by the drain limit") {
  for (const std::string ignored : {"", "ignore-term"}) {
    CAPTURE(ignored);
    const Plans plans(dir);
    const Port port;
    plans.set("v1", {"listen " + port.text(), ignored});
    plans.set("v2", {"listen " + port.text()});
    const Words limited{"--keepalive",  "keep",  "--drain-limit", "700ms",
                        "--term-grace", "200ms", "--forks",       "1"};
    Instance app(*this, v1, as_a_program + limited, plans.arguments());
    auto idle = keep(port.address());
    check_upgrade(app, v2);
    const auto receipt = Json::parse(app.run("receipt", {"--json"}).out);
    const auto& old = receipt["slots"][0]["workers"][0];
    CHECK(old["role"] == "old");
    CHECK(old["end"] == "forced");
    CHECK(contains(old["exit"].get<std::string>(), ignored.empty() ? "SIGTERM" : "SIGKILL"));
    CHECK(idle.ends());
  }
}

// A thread calls sigwait(), or reads a signalfd. Such a program blocks SIGTERM in all threads.
TEST_CASE_FIXTURE(Scenario, "one that waits for SIGTERM gets it when an old worker has drained") {
  for (const std::string way : {"term-sigwait", "term-signalfd"}) {
    CAPTURE(way);
    const Plans plans(dir);
    const Port port;
    const std::string note = plans / way;
    plans.set("v1", {way + " " + note, "listen " + port.text()});
    plans.set("v2", {"listen " + port.text()});
    Instance app(*this, v1, as_a_program, plans.arguments());
    check_upgrade(app, v2);
    CHECK(std::filesystem::exists(note));
  }
}

TEST_CASE_FIXTURE(Scenario, "work that is no connection holds an old worker, too") {
  const Plans plans(dir);
  const Port port;
  plans.set("v1", {"listen " + port.text(), "hold " + plans / "released"});
  plans.set("v2", {"listen " + port.text()});
  Instance app(*this, v1, as_a_program + Words{"--forks", "1"}, plans.arguments());
  const pid_t old = app.workers().at(0);
  begin_upgrade(app, v2);
  let_pass(milliseconds(500));
  CHECK(proc::runs(old));
  write_file(plans / "released", "");
  CHECK(eventually([&] { return !proc::runs(old); }));
}

TEST_CASE_FIXTURE(Scenario, "a listener of --listen, bound by the server itself, and one of its own") {
  const Plans plans(dir);
  const Port lent, own;
  plans.set_both({"listen " + lent.text(), "listen " + own.text()});
  Instance app(*this, v1, as_a_program + Words{"--listen", lent.address()}, plans.arguments());
  CHECK(taken(app) == Words{own.address()});
  Sessions sessions({lent.address(), own.address()}, {});
  REQUIRE(sessions.all_began());
  for (const auto& library : {v2, v1, v2}) check_upgrade(app, library);
  CHECK(answers(lent.address(), "v2"));
  CHECK(answers(own.address(), "v2"));
  check_no_failures(sessions);
}

TEST_CASE_FIXTURE(Scenario, "an idle connection lives until the drain limit with --keepalive keep") {
  const Plans plans(dir);
  const Port port;
  plans.set_both({"listen " + port.text()});
  const Words limited{"--keepalive",   "keep", "--keepalive-grace", "50ms",
                      "--drain-limit", "6s",   "--term-grace",      "100ms"};
  Instance app(*this, v1, as_a_program + limited, plans.arguments());
  auto idle = keep(port.address());
  begin_upgrade(app, v2);
  // Much longer than the grace, and far below the drain limit.
  CHECK(still_answers(idle));
  CHECK_FALSE(idle.ends(milliseconds(500)));
  CHECK(idle.ends());
}

TEST_CASE_FIXTURE(Scenario, "an explicit liveswap_ready() counts, not the first wait") {
  const Plans plans(dir);
  const Port port;
  plans.set("v1", {"listen " + port.text()});
  plans.set("v2", {"listen " + port.text(), "ready " + plans / "go"});
  Instance app(*this, v1, as_a_program, plans.arguments());
  REQUIRE(app.upgrade(v2, {"--detach"}).status == Exit::ok);
  // The successor serves, but is not ready.
  REQUIRE(eventually([&] { return answers(port.address(), "v2"); }));
  const auto is_starting = [&] { return app.status().value("state", "") == "upgrading"; };
  let_pass(milliseconds(500));
  CHECK(is_starting());
  CHECK_FALSE(app.serves(v2, milliseconds(1)));
  write_file(plans / "go", "");
  CHECK(app.serves(v2));
}

TEST_CASE_FIXTURE(Scenario, "one that has its own listener and asks for the drain drains by itself") {
  const Plans plans(dir);
  const Port port;
  plans.set("v1", {"listen " + port.text(), "own-drain " + plans / "drained"});
  plans.set("v2", {"listen " + port.text()});
  // With a short grace, which would end the connection at once.
  Instance app(*this, v1, as_a_program + Words{"--keepalive-grace", "10ms"}, plans.arguments());
  auto connection = keep(port.address());
  begin_upgrade(app, v2);
  let_pass(milliseconds(300));
  CHECK(still_answers(connection));
  { const auto ended = std::move(connection); }
  CHECK(eventually([&] { return plans.has("drained"); }));
  CHECK(eventually([&] { return app.children().size() == 2; }));
}

TEST_CASE_FIXTURE(Scenario, "what cannot be handed on is refused, and the old code serves") {
  const struct {
    std::string what, words;
  } misfits[] = {{"prefork-poll", "prefork"}, {"daemon", "foreground"}, {"raw", "--intercept seccomp"}};
  for (const auto& [what, words] : misfits) {
    CAPTURE(what);
    // For the held address the kernel itself refuses a raw bind().
    const Port port, other;
    const std::string bound_by_new = what == "raw" ? other.text() : port.text();
    Instance app(*this, v1, as_a_program, {what, bound_by_new, port.text()});
    Sessions sessions(port.address());
    REQUIRE(sessions.all_began());
    const auto finished = app.upgrade(MISFIT);
    CHECK(finished.status == Exit::reverted);
    CHECK_MESSAGE(contains(finished.err, words), finished.err);
    CHECK(app.serves(v1));
    CHECK(taken(app).size() == 1);
    check_no_failures(sessions);
  }
}

}  // namespace scenario
