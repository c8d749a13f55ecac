// How long the hand-off of many idle connections takes, beside bare messages with a descriptor each.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "report.hpp"
#include "support/connection.hpp"
#include "support/instance.hpp"
#include "support/proc.hpp"
#include "versions.hpp"

namespace scenario::micro {
namespace {

constexpr char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

void allow_many_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Whether the connection is still served, by whichever worker.
void ask(Connection& connection) {
  REQUIRE(connection.send(request));
  for (std::string line; (line = connection.read_line()) != "\r\n";) REQUIRE(line.ends_with("\n"));
  REQUIRE(connection.read_exactly(std::strlen("version-01\n")).size() == std::strlen("version-01\n"));
}

struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int))] = {};
};

msghdr message_with(Control& control, iovec& data) {
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  return message;
}

void receive_all(int socket, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    char byte;
    iovec data{&byte, 1};
    Control control;
    msghdr message = message_with(control, data);
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) ::_exit(1);
  }
  ::_exit(::write(socket, "d", 1) == 1 ? 0 : 1);
}

void send_descriptor(int socket, int fd) {
  char byte = 'f';
  iovec data{&byte, 1};
  Control control;
  msghdr message = message_with(control, data);
  cmsghdr* const part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  REQUIRE(::sendmsg(socket, &message, MSG_NOSIGNAL) == 1);
}

// Sends the connections to a child process, which takes them all.
double bare_handoff_ms(const std::vector<Connection>& connections) {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
  const auto mine = liveswap::UniqueFd::adopt(ends[0]), its = liveswap::UniqueFd::adopt(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    // Room for those that it has inherited, and those that it gets.
    ::close_range(3, static_cast<unsigned>(its.get()) - 1, 0);
    receive_all(its.get(), connections.size());
  }
  const double taken = ms_of([&] {
    for (const Connection& connection : connections) send_descriptor(mine.get(), connection.fd());
    char done;
    REQUIRE(::read(mine.get(), &done, 1) == 1);
  });
  ::waitpid(child, nullptr, 0);
  return taken;
}

bool all_gone(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), [](pid_t pid) { return proc::runs(pid); });
}

TEST_CASE_FIXTURE(Scenario, "hand-off of connections") {
  const unsigned count = is_quick() ? 1000 : 10'000;
  allow_many_descriptors();
  const Port port;
  const std::string libraries[] = {version(*this, "bench_as_it_is", 1), version(*this, "bench_as_it_is", 2)};
  Instance app(*this, libraries[0],
               {"--entry", "main", "--forks", "16", "--keepalive", "migrate", "--keepalive-grace", "0ms"},
               {port.text(), "1", "shared"});
  Comparison hand_off("hand-off of idle connections (upgrade of 16 workers, to the end of the old ones)",
                      count, "as many descriptors by SCM_RIGHTS");
  std::vector<Connection> connections;
  for (unsigned i = 0; i < count; ++i) {
    connections.emplace_back(port.address());
    ask(connections.back());
  }
  for (int i = 1; i <= (is_quick() ? 2 : 5); ++i) {
    const auto old = app.workers();
    hand_off.add(ms_of([&] {
      REQUIRE(app.upgrade(libraries[i % 2]).status == Exit::ok);
      REQUIRE(eventually([&] { return all_gone(old); }));
    }));
    for (Connection& connection : connections) ask(connection);
    hand_off.add_bare(bare_handoff_ms(connections));
  }
}

}  // namespace
}  // namespace scenario::micro
