// Connections of processes that a worker has left behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "master/group_connections.hpp"
#include "master/group_looks.hpp"
#include "takeover_desk.hpp"
#include "temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;
using master::ListeningPlaces;

namespace {

// A leader that has ended, and a member that lives; both have what the test has open.
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

std::size_t connections_of(pid_t group, const ListeningPlaces& places) {
  return master::connections_of_groups({{group, places}}).at(group);
}

}  // namespace

TEST_CASE("group connections: those of the listeners, over TCP and Unix sockets, and no other socket") {
  const TempDir dir;
  const auto at_path = Where::path(dir / "app.sock"), abstract = Where::abstract(dir / "abstract");
  const auto tcp = listener_at(Where::v4(0)), other = listener_at(Where::v4(0));
  const auto unix = listener_at(at_path), named = listener_at(abstract);
  ListeningPlaces places;
  for (const auto* fd : {&tcp, &unix, &named}) places.add(fd->get());
  CHECK(connections_of(Group().id(), places) == 0);

  const auto a = connect_to(Where::v4(port_of(tcp.get()))), b = connect_to(Where::v4(port_of(other.get())));
  const auto c = connect_to(at_path), d = connect_to(abstract);
  const auto at = accept_from(tcp.get()), bt = accept_from(other.get()), ct = accept_from(unix.get()), dt = accept_from(named.get());
  const Group group;
  CHECK(connections_of(group.id(), places) == 3);
  // The clients' ends are in it as well, and are none.
  CHECK(connections_of(group.id(), {}) == 0);
}

TEST_CASE("group connections: one look tells groups apart") {
  const auto tcp = listener_at(Where::v4(0)), other = listener_at(Where::v4(0));
  ListeningPlaces places, elsewhere;
  places.add(tcp.get());
  elsewhere.add(other.get());
  const Group before;
  const auto client = connect_to(Where::v4(port_of(tcp.get())));
  const auto served = accept_from(tcp.get());
  const Group group, third;
  const std::map<pid_t, std::size_t> counts{{before.id(), 0}, {group.id(), 1}, {third.id(), 0}};
  CHECK(master::connections_of_groups({{before.id(), places}, {group.id(), places}, {third.id(), elsewhere}}) == counts);
}

TEST_CASE("group looks: the longer one takes, the later is the next") {
  using namespace std::chrono_literals;
  CHECK(master::GroupLooks::interval_after(0ns) == 100ms);
  CHECK(master::GroupLooks::interval_after(10ms) == 100ms);
  CHECK(master::GroupLooks::interval_after(10'000'001ns) == 101ms);
  CHECK(master::GroupLooks::interval_after(2s) == 20s);
}

TEST_CASE("group looks: one for all groups, and each answer is told once") {
  using namespace std::chrono_literals;
  unsigned looks = 0;
  std::chrono::milliseconds takes{0};
  master::GroupLooks groups([&](const master::GroupLooks::Groups& asked) {
    std::this_thread::sleep_for(takes);
    std::map<pid_t, std::size_t> counts;
    ++looks;
    for (const auto& [group, places] : asked) counts[group] = looks;
    return counts;
  });
  CHECK(groups.open(1, {}, 0ms) == 1);
  // Not looked at when the first one was.
  CHECK_FALSE(groups.open(2, {}, 50ms));
  CHECK_FALSE(groups.open(1, {}, 99ms));
  takes = 20ms;
  CHECK(groups.open(1, {}, 100ms) == 2);
  CHECK(groups.open(2, {}, 100ms) == 2);
  CHECK_FALSE(groups.open(2, {}, 299ms));
  groups.forget(1);
  CHECK_FALSE(groups.knows(1));
  CHECK(groups.knows(2));
  CHECK(groups.open(2, {}, 1h) == 3);
  CHECK_FALSE(groups.open(1, {}, 1h));
}

TEST_CASE("group connections: lines of the kernel's tables") {
  ListeningPlaces places;
  places.ports = {8080};
  places.paths = {"/run/app.sock", "@name"};
  const std::string head = "   1: 0100007F:1F90 0100007F:D2A4 ", tail = " 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
  CHECK(master::inode_in_tcp_line(head + "01" + tail, places) == 4711);
  CHECK(master::inode_in_tcp_line(head + "08" + tail, places) == 4711);
  CHECK(master::inode_in_tcp_line(head + "0A" + tail, places) == 0);
  CHECK(master::inode_in_tcp_line("   1: 0100007F:1F91 0100007F:D2A4 01" + tail, places) == 0);
  CHECK(master::inode_in_tcp_line("   1: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:D2A4 01" + tail, places) == 4711);
  CHECK(master::inode_in_tcp_line("  sl  local_address rem_address   st tx_queue rx_queue", places) == 0);
  const std::string unix = "0000000000000000: 00000003 00000000 00000000 0001 ";
  CHECK(master::inode_in_unix_line(unix + "03 815 /run/app.sock", places) == 815);
  CHECK(master::inode_in_unix_line(unix + "03 815 @name", places) == 815);
  CHECK(master::inode_in_unix_line(unix + "01 815 /run/app.sock", places) == 0);
  CHECK(master::inode_in_unix_line(unix + "03 815 /run/other.sock", places) == 0);
  CHECK(master::inode_in_unix_line(unix + "03 815", places) == 0);
}
