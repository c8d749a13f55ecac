// Connections of processes that a worker has left behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "app_listeners_fixture.hpp"
#include "master/sockets/sockets.hpp"
#include "master/workers/left_behind.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;
using master::ListeningPlaces;

namespace {

// A process group: its leader has exited, a member lives. Both have inherited the test's descriptors.
class Group {
 public:
  Group() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    auto said = UniqueFd::adopt(ends[0]), say = UniqueFd::adopt(ends[1]);
    leader_ = ::fork();
    if (leader_ == 0) {
      ::setpgid(0, 0);
      const pid_t member = ::fork();
      if (member == 0)
        for (;;) ::pause();
      ::_exit(::write(say.get(), "x", 1) == 1 ? 0 : 1);
    }
    char byte = 0;
    REQUIRE(::read(said.get(), &byte, 1) == 1);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(leader_), &info, WEXITED | WNOWAIT) == 0);
  }
  Group(const Group&) = delete;
  ~Group() {
    ::kill(-leader_, SIGKILL);
    ::waitpid(leader_, nullptr, 0);
  }
  pid_t id() const { return leader_; }

 private:
  pid_t leader_ = -1;
};

UniqueFd listener_at(const Where& where) {
  auto fd = socket_for(where);
  REQUIRE(::bind(fd.get(), where.get(), where.size) == 0);
  REQUIRE(::listen(fd.get(), 8) == 0);
  return fd;
}

std::size_t connections_of(pid_t worker, const ListeningPlaces& places) {
  return master::left_by({{worker, {places}}}).value().at(worker).connections.size();
}

}  // namespace

TEST_CASE("left processes: those of the listeners, over TCP and Unix sockets, and no other socket") {
  const TempDir dir;
  const auto at_path = Where::path(dir / "app.sock"), abstract = Where::abstract(dir / "abstract");
  const auto tcp = listener_at(Where::v4(0)), other = listener_at(Where::v4(0));
  const auto unix = listener_at(at_path), named = listener_at(abstract);
  ListeningPlaces places;
  for (const auto* fd : {&tcp, &unix, &named}) places.add(fd->get());
  CHECK(connections_of(Group().id(), places) == 0);

  const auto a = connect_to(Where::v4(port_of(tcp.get()))), b = connect_to(Where::v4(port_of(other.get())));
  const auto c = connect_to(at_path), d = connect_to(abstract);
  const auto at = accept_from(tcp.get()), bt = accept_from(other.get()), ct = accept_from(unix.get()),
             dt = accept_from(named.get());
  const Group group;
  CHECK(connections_of(group.id(), places) == 3);
  // The group has the clients' ends, too, but these do not count.
  CHECK(connections_of(group.id(), {}) == 0);
}

// The number of a killed master's worker, which another process has reaped.
TEST_CASE("left processes: the group of a new process that has the worker's number is not the worker's") {
  const pid_t leader = ::fork();
  if (leader == 0) {
    ::setpgid(0, 0);
    if (::fork() >= 0)
      for (;;) ::pause();
    ::_exit(1);
  }
  const auto members = [&] { return master::left_by({{leader, {}}}).value().at(leader).processes.size(); };
  const auto in_group = [&] {
    unsigned found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
      if (const pid_t pid = std::atoi(entry.path().filename().c_str()); pid > 0 && ::getpgid(pid) == leader)
        ++found;
    return found;
  };
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (in_group() != 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  REQUIRE(in_group() == 2);
  CHECK(members() == 0);
  ::kill(leader, SIGKILL);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(leader), &info, WEXITED | WNOWAIT) == 0);
  CHECK(members() == 1);
  ::kill(-leader, SIGKILL);
  ::waitpid(leader, nullptr, 0);
}

TEST_CASE("left processes: one look tells groups apart") {
  const auto tcp = listener_at(Where::v4(0)), other = listener_at(Where::v4(0));
  ListeningPlaces places, elsewhere;
  places.add(tcp.get());
  elsewhere.add(other.get());
  const Group before;
  const auto client = connect_to(Where::v4(port_of(tcp.get())));
  const auto served = accept_from(tcp.get());
  const Group group, third;
  const auto left =
      master::left_by({{before.id(), {places}}, {group.id(), {places}}, {third.id(), {elsewhere}}}).value();
  CHECK(left.at(before.id()).connections.empty());
  CHECK(left.at(group.id()).connections == std::set<std::uint64_t>{master::socket_inode(served.get())});
  CHECK(left.at(third.id()).connections.empty());
  for (const auto& [worker, one] : left) CHECK(one.processes.size() == 1);
}

TEST_CASE("looks at what is left: the longer one takes, the later is the next") {
  using namespace std::chrono_literals;
  CHECK(master::LeftScans::interval_after(0ns) == 100ms);
  CHECK(master::LeftScans::interval_after(10ms) == 100ms);
  CHECK(master::LeftScans::interval_after(10'000'001ns) == 101ms);
  CHECK(master::LeftScans::interval_after(2s) == 20s);
}

TEST_CASE("looks at what is left: one for all workers, and each answer is told once") {
  using namespace std::chrono_literals;
  unsigned looks = 0;
  std::chrono::milliseconds takes{0};
  master::LeftScans at([&](const master::LeftScans::Workers& asked) {
    std::this_thread::sleep_for(takes);
    std::map<pid_t, master::Left> found;
    ++looks;
    for (const auto& [worker, traces] : asked) found[worker].unreadable = looks;
    return found;
  });
  CHECK(at.at(1, {}, 0ms).value().unreadable == 1);
  // Worker 2 was not part of the first scan.
  CHECK_FALSE(at.at(2, {}, 50ms));
  CHECK_FALSE(at.at(1, {}, 99ms));
  takes = 20ms;
  CHECK(at.at(1, {}, 100ms).value().unreadable == 2);
  CHECK(at.at(2, {}, 100ms).value().unreadable == 2);
  CHECK_FALSE(at.at(2, {}, 299ms));
  at.forget(1);
  CHECK_FALSE(at.knows(1));
  CHECK(at.knows(2));
  CHECK(at.at(2, {}, 1h).value().unreadable == 3);
  CHECK_FALSE(at.at(1, {}, 1h));
}

namespace {

// A scan with results that the test sets, for the member of a group.
struct Behind {
  master::Left left;
  master::LeftBehind behind{master::LeftScans([this](const master::LeftScans::Workers& asked) {
    std::map<pid_t, master::Left> found;
    for (const auto& [worker, traces] : asked) found[worker] = left;
    return found;
  })};
  std::chrono::milliseconds now{0};

  master::LeftBehind::State step() {
    now += std::chrono::hours(1);
    return behind.step(1, {}, {{7, "http"}}, now, std::chrono::hours(10)).value();
  }
};

char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const char state = text.empty() ? 'X' : text[text.rfind(')') + 2];
  return state == 'Z' ? 'X' : state;
}

template <class Condition>
bool becomes(const Condition& condition) {
  using namespace std::chrono_literals;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace

TEST_CASE("left behind: the connections of the first look are waited for, and no later ones") {
  Behind test;
  test.left.connections = {1, 2};
  CHECK(test.step().open == 2);
  test.left.connections = {2, 3};
  CHECK(test.step().open == 1);
  test.left.connections = {3, 4};
  const auto last = test.step();
  CHECK(last.open == 0);
  CHECK(last.is_over);
}

TEST_CASE(
    "left behind: one that runs the worker's program is ended where it has no connection, and else when its "
    "grace is over") {
  using namespace std::chrono_literals;
  const auto tcp = listener_at(Where::v4(0));
  const auto listening = master::socket_inode(tcp.get());
  master::Traces traces;
  traces.places.add(tcp.get());
  struct stat self {};
  REQUIRE(::stat("/proc/self/exe", &self) == 0);
  traces.program = {self.st_dev, self.st_ino};
  const Group idle;
  const auto client = connect_to(Where::v4(port_of(tcp.get())));
  const auto served = accept_from(tcp.get());
  const Group busy;
  for (const Group* group : {&idle, &busy}) {
    master::LeftBehind behind(master::LeftScans([&](const master::LeftScans::Workers& asked) {
      auto found = master::left_by(asked).value();
      for (auto& process : found[group->id()].processes) process.executed = false;
      // Without the connection, as if the process had got it later.
      found[group->id()].connections.clear();
      return found;
    }));
    const auto step = [&](std::chrono::milliseconds now) {
      return behind.step(group->id(), traces, {{listening, "http"}}, now, 10h).value();
    };
    // At the first scan the process may be about to execute a program.
    CHECK(step(1min).holders.empty());
    const auto named = step(1h);
    CHECK_FALSE(named.is_over);
    REQUIRE(named.holders.size() == 1);
    CHECK(named.holders[0].must_end);
    CHECK(named.holders[0].listeners == std::set<std::string>{"http"});
    const pid_t pid = named.holders[0].process.pid;
    const bool is_over = step(2h).is_over;
    if (group == &busy) {
      CHECK_FALSE(is_over);
      // The process runs again, whatever the scan found.
      CHECK(becomes([&] { return state_of(pid) == 'S'; }));
      // The grace is over, but on a busy machine there may have been few tries.
      for (int tries = 2; tries <= 10; ++tries) CHECK_FALSE(step(11h + tries * 10min).is_over);
      CHECK(becomes([&] { return state_of(pid) == 'S'; }));
      step(99h);
    }
    CHECK(becomes([&] { return state_of(pid) == 'X'; }));
    CHECK(step(100h).is_over);
  }
}

// Scans may lie further apart than the grace is long, and a process may have a connection.
TEST_CASE("left behind: the cgroup is killed only if each scan finds other processes") {
  using namespace std::chrono_literals;
  const test::TempDir cgroup;
  const Group first, second;
  master::Traces traces;
  traces.cgroup = cgroup.path();
  for (const bool is_same : {true, false}) {
    CAPTURE(is_same);
    const auto kill = cgroup.write("cgroup.kill", "");
    const Group* now_there = &first;
    master::LeftBehind behind(master::LeftScans([&](const master::LeftScans::Workers&) {
      auto left = master::left_by({{now_there->id(), {}}}).value().at(now_there->id());
      left.processes.at(0).executed = false;
      left.processes.at(0).sockets = {7};
      return std::map<pid_t, master::Left>{{1, left}};
    }));
    CHECK(behind.step(1, traces, {{7, "http"}}, 1s, 2s).value().holders.empty());
    if (!is_same) now_there = &second;
    const auto state = behind.step(1, traces, {{7, "http"}}, 10s, 2s).value();
    CHECK(state.holders.size() == 1);
    std::ifstream file(kill);
    CHECK((file.peek() == std::ifstream::traits_type::eof()) == is_same);
  }
}

TEST_CASE("left behind: sockets of its own at a listener's port are found") {
  const auto tcp = listener_at(Where::v4(0)), other = listener_at(Where::v4(0));
  const auto inode = master::socket_inode(tcp.get());
  ListeningPlaces places;
  places.add(tcp.get());
  const Group group;
  const auto left = master::left_by({{group.id(), {places}}}).value().at(group.id());
  const auto name = "port " + std::to_string(port_of(tcp.get()));
  CHECK(left.listening == master::ListeningSockets{{inode, name}});
  Behind test;
  test.left = left;
  for (auto& process : test.left.processes) process.executed = true;
  const auto named = test.step();
  REQUIRE(named.holders.size() == 1);
  CHECK(named.holders[0].listeners == std::set<std::string>{name});
  CHECK(master::holds_any(named.holders[0].process, {}, named.holders[0].own));
  CHECK_FALSE(master::holds_any(named.holders[0].process, {}));
}

TEST_CASE("left behind: one that has executed a program is told of, once, and goes on") {
  const Group group;
  Behind test;
  test.left = master::left_by({{group.id(), {}}}).value().at(group.id());
  test.left.processes.at(0).sockets = {7};
  const auto named = test.step();
  CHECK(named.is_over);
  REQUIRE(named.holders.size() == 1);
  CHECK_FALSE(named.holders[0].must_end);
  CHECK(test.step().holders.empty());
  CHECK(becomes([&] { return state_of(test.left.processes.at(0).pid) == 'S'; }));
}

TEST_CASE("left behind: nobody is hit who has the number of one that has gone") {
  const Group group;
  Behind test;
  test.left = master::left_by({{group.id(), {}}}).value().at(group.id());
  auto& process = test.left.processes.at(0);
  process.executed = false;
  process.sockets = {7};
  ++process.started;
  CHECK(test.behind.end_now(1, {}, {{7, "http"}}).size() == 1);
  CHECK(becomes([&] { return state_of(process.pid) == 'S'; }));
  --process.started;
  test.behind.end_now(1, {}, {{7, "http"}});
  CHECK(becomes([&] { return state_of(process.pid) == 'X'; }));
}

TEST_CASE("left processes: lines of the kernel's tables") {
  ListeningPlaces places;
  places.ports = {8080};
  places.paths = {"/run/app.sock", "@name"};
  const std::string head = "   1: 0100007F:1F90 0100007F:D2A4 ",
                    tail = " 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
  CHECK(master::inode_in_tcp_line(head + "01" + tail, places) == 4711);
  CHECK(master::inode_in_tcp_line(head + "08" + tail, places) == 4711);
  CHECK(master::inode_in_tcp_line(head + "0A" + tail, places) == 0);
  CHECK(master::inode_in_tcp_line("   1: 0100007F:1F91 0100007F:D2A4 01" + tail, places) == 0);
  CHECK(master::inode_in_tcp_line(
            "   1: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:D2A4 01" + tail,
            places) == 4711);
  CHECK(master::inode_in_tcp_line("  sl  local_address rem_address   st tx_queue rx_queue", places) == 0);
  CHECK(master::listening_in_tcp_line(head + "0A" + tail, places).inode == 4711);
  CHECK(master::listening_in_tcp_line(head + "0A" + tail, places).port == 8080);
  CHECK(master::listening_in_tcp_line(head + "01" + tail, places).inode == 0);
  CHECK(master::listening_in_tcp_line("   1: 0100007F:1F91 00000000:0000 0A" + tail, places).inode == 0);
  const std::string unix = "0000000000000000: 00000003 00000000 00000000 0001 ";
  CHECK(master::inode_in_unix_line(unix + "03 815 /run/app.sock", places) == 815);
  CHECK(master::inode_in_unix_line(unix + "03 815 @name", places) == 815);
  CHECK(master::inode_in_unix_line(unix + "01 815 /run/app.sock", places) == 0);
  CHECK(master::inode_in_unix_line(unix + "03 815 /run/other.sock", places) == 0);
  CHECK(master::inode_in_unix_line(unix + "03 815", places) == 0);
}
