// Who waits for connections in accept(): in the kernel, where it can be told to look again, and what ends
// that.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "application.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap::test;

namespace {

struct Blocker : Application {
  explicit Blocker(const std::string& what, const std::vector<std::string>& more = {},
                   const std::string& where = free_port())
      : Application(what, more, where, {}, {"10000", "1000"}, "libblocker.so") {}

  bool blocks() const { return (fcntl(listener(), F_GETFL) & O_NONBLOCK) == 0; }

  // The threads that the kernel shows in accept(); -1 while it shows one that runs, which may be on its way
  // there.
  int sleepers() {
    int count = 0;
    std::error_code ignored;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(worker().pid()) + "/task", ignored)) {
      std::ifstream file(thread.path() / "syscall");
      std::string call;
      file >> call;
      if (call == "running") return -1;
      if (call == std::to_string(SYS_accept)) ++count;
    }
    return count;
  }

  void await_sleepers(int count) {
    // One that has just been woken is not seen: not by one look alone.
    int found = 0;
    for (int i = 0; i < 2000 && found < 3; ++i, usleep(5'000)) found = sleepers() == count ? found + 1 : 0;
    REQUIRE(found == 3);
  }

  void serve_one() {
    const auto connection = connect_to(listener());
    REQUIRE(::send(connection.get(), "x", 1, 0) == 1);
    CHECK(read_all(connection.get()) == "ok");
  }
};

// What has been here before keeps its own end open.
bool recv_ok(int client) {
  char answer[2]{};
  return readable(client, 20'000) && recv(client, answer, sizeof answer, 0) == 2 &&
         std::memcmp(answer, "ok", 2) == 0;
}

// As a master does it.
void send_adoption(int channel, int listener, int connection) {
  const liveswap_frame frame{LIVESWAP_ADOPT, 0, 0};
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  REQUIRE(getsockopt(listener, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof connection)]{};
  iovec parts[] = {{const_cast<liveswap_frame*>(&frame), sizeof frame}, {&cookie, sizeof cookie}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof connection);
  std::memcpy(CMSG_DATA(header), &connection, sizeof connection);
  REQUIRE(sendmsg(channel, &message, MSG_NOSIGNAL) > 0);
}

}  // namespace

TEST_CASE("who takes its listener for blocking sleeps in accept(), and is woken when it is taken away") {
  const TempDir directory;
  const std::string path = directory / "socket";
  for (const auto& where : {Application::free_port(), path}) {
    CAPTURE(where);
    Blocker blocker("accept", {}, where);
    blocker.await(LIVESWAP_WAITS);
    for (int i = 0; i < 5; ++i) blocker.serve_one();
    CHECK(blocker.blocks());
    const auto open = connect_to(blocker.listener());
    blocker.await_sleepers(2);
    blocker.worker().send(LIVESWAP_DRAIN, 10'000);
    blocker.await_sleepers(0);
    // None of them is there any more to take what belongs to the successor.
    const auto later = connect_to(blocker.listener());
    REQUIRE(readable(blocker.listener(), 1'000));
    REQUIRE(::send(open.get(), "x", 1, 0) == 1);
    CHECK(read_all(open.get()) == "ok");
    CHECK(blocker.worker().wait().number == 0);
    CHECK(readable(blocker.listener(), 0));
  }
}

TEST_CASE("who could not be woken there, or waits elsewhere too, does not sleep in accept()") {
  for (const std::string what : {"masked", "masked-later", "limit", "poll", "select", "epoll"}) {
    CAPTURE(what);
    Blocker blocker(what);
    blocker.await(LIVESWAP_WAITS);
    for (int i = 0; i < 9; ++i) blocker.serve_one();
    // Who has gone to sleep before another ended that sleeps on until it gets a connection.
    for (int i = 0; i < 500 && blocker.sleepers() != 0; ++i) blocker.serve_one();
    blocker.await_sleepers(0);
    CHECK_FALSE(blocker.blocks());
    blocker.check_drains();
  }
}

TEST_CASE("who sleeps in accept() hears of a connection that it shall adopt") {
  Blocker blocker("accept");
  blocker.await(LIVESWAP_WAITS);
  blocker.serve_one();
  blocker.await_sleepers(3);
  const auto elsewhere = listen_tcp();
  for (int i = 0; i < 5; ++i) {
    const auto client = connect_to(elsewhere.get());
    REQUIRE(readable(elsewhere.get(), 1'000));
    const auto connection = liveswap::UniqueFd::adopt(::accept(elsewhere.get(), nullptr, nullptr));
    send_adoption(blocker.worker().channel(), blocker.listener(), connection.get());
    REQUIRE(::send(client.get(), "x", 1, 0) == 1);
    CHECK(recv_ok(client.get()));
  }
  blocker.check_drains();
}

TEST_CASE("to wait for datagrams changes nothing about their socket") {
  Blocker blocker("datagrams");
  blocker.await(LIVESWAP_WAITS);
  blocker.await(LIVESWAP_LISTEN);
  blocker.serve_one();
  blocker.check_drains();
}

TEST_CASE("calls that the worker host does not see do not sleep in accept()") {
  Blocker blocker("accept", {"--intercept", "seccomp"});
  blocker.await(LIVESWAP_WAITS);
  blocker.serve_one();
  CHECK_FALSE(blocker.blocks());
  blocker.check_drains();
}

TEST_CASE("what another has made non-blocking makes nobody return") {
  Blocker blocker("accept");
  blocker.await(LIVESWAP_WAITS);
  blocker.serve_one();
  blocker.await_sleepers(3);
  REQUIRE(fcntl(blocker.listener(), F_SETFL, fcntl(blocker.listener(), F_GETFL) | O_NONBLOCK) == 0);
  for (int i = 0; i < 20; ++i) blocker.serve_one();
  blocker.check_drains();
}

TEST_CASE("who sleeps in accept() hears of its listener's end, and of its time limit") {
  for (const std::string what : {"shutdown", "shutdown-read", "close", "limit-passes"}) {
    CAPTURE(what);
    Blocker blocker(what);
    blocker.await(LIVESWAP_WAITS);
    blocker.serve_one();
    CHECK(blocker.worker().wait().number == 0);
  }
}
