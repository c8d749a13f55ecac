// What applications, and those who connect to them, do to sockets that the master shares with them.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "takeover_desk.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

TEST_CASE("hurt: a Unix socket that was shut down makes room for a new one") {
  const TempDir dir;
  for (const auto& where : {Where::path(dir / "app.sock"), Where::abstract(dir / "name")}) {
    Desk desk(1);
    desk.join(1, 0);
    auto old = desk.serve(1, where);
    desk.ready(1);
    desk.look();
    REQUIRE(::shutdown(old.get(), SHUT_RDWR) == 0);
    const auto before = cookie(old.get());
    old.reset();
    desk.leave(1);
    desk.listeners().repair();
    desk.join(2, 0);
    Desk::Held held;
    // An abstract name is free when the last one has been closed, in the background.
    for (int i = 0; i < 1'000 && (held = desk.bind(2, where)).error == EADDRINUSE; ++i) ::usleep(1'000);
    REQUIRE(held.error == 0);
    REQUIRE(desk.listen(2, held) == 0);
    CHECK(cookie(held.fd.get()) != before);
    CHECK(connect_to(where));
    CHECK(has_waiting(held.fd.get()));
    desk.ready(2);
    desk.look();
    CHECK(desk.names().size() == 1);
  }
}

TEST_CASE("hurt: the worker that has shut its Unix socket down can bind it again") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Desk desk(1);
  desk.join(1, 0);
  const auto old = desk.serve(1, where);
  desk.ready(1);
  desk.look();
  REQUIRE(::shutdown(old.get(), SHUT_RD) == 0);
  const auto again = desk.serve(1, where);
  CHECK(connect_to(where));
  CHECK(has_waiting(again.get()));
}

TEST_CASE("hurt: a Unix socket of --listen that was shut down is replaced at its path") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Desk desk(1, {}, {{"local", "unix:" + path}});
  REQUIRE(::chmod(path.c_str(), 0604) == 0);
  const auto old = UniqueFd::adopt(::dup(desk.listeners().of_slot(0)[0]));
  REQUIRE(::shutdown(old.get(), SHUT_RDWR) == 0);
  REQUIRE_FALSE(connect_to(where));
  desk.listeners().repair();
  const int fresh = desk.listeners().of_slot(0)[0];
  CHECK(cookie(fresh) != cookie(old.get()));
  CHECK(connect_to(where));
  CHECK(has_waiting(fresh));
  struct stat file {};
  REQUIRE(::lstat(path.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0604);
  CHECK(::access((path + ".again").c_str(), F_OK) != 0);
  // A staged one, too, which is beside it.
  REQUIRE(desk.listeners().stage().has_value());
  REQUIRE(::shutdown(desk.listeners().of_slot(0, true)[0], SHUT_RDWR) == 0);
  desk.listeners().repair();
  REQUIRE(desk.listeners().flip().has_value());
  CHECK(connect_to(where));
  CHECK(has_waiting(desk.listeners().of_slot(0)[0]));
}

TEST_CASE("hurt: a listen() that nobody has seen leaves the backlog as it has to be") {
  Desk::Rules rules;
  rules.backlog = 64;
  Desk desk(1, rules);
  desk.join(1, 0);
  const auto held = desk.bind(1, Where::v4(0));
  REQUIRE(::listen(held.fd.get(), 64) == 0);
  desk.listeners().repair();
  desk.listeners().repair();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) {
    auto client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto where = Where::v4(port_of(held.fd.get()));
    ::connect(client.get(), where.get(), where.size);
    pollfd wait{client.get(), POLLOUT, 0};
    REQUIRE(::poll(&wait, 1, 300) == 1);
    clients.push_back(std::move(client));
  }
}

TEST_CASE("hurt: whether a listener blocks is the application's affair, until it once did not") {
  for (const auto& where : {Where::v4(0), Where::abstract("liveswap-blocks-" + std::to_string(::getpid()))}) {
    Desk desk(1);
    desk.join(1, 0);
    const auto held = desk.bind(1, where);
    REQUIRE(desk.listen(1, held, 10) == 0);
    const int fd = held.fd.get(), flags = ::fcntl(fd, F_GETFL);
    desk.listeners().repair();
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    REQUIRE(::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    desk.listeners().repair();
    REQUIRE(::fcntl(fd, F_SETFL, flags) == 0);
    desk.listeners().repair();
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("hurt: an application's own steering program is replaced") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.serve(1, Where::v4(0));
  const auto where = Where::v4(port_of(first.get()));
  const auto second = desk.serve(2, where);
  desk.ready(1);
  desk.ready(2);
  desk.look();
  desk.listeners().steer(2, {1});
  sock_filter always_second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
  const sock_fprog program{1, always_second};
  REQUIRE(::setsockopt(second.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0);
  desk.listeners().steer(2, {1});
  for (int i = 0; i < 20; ++i) REQUIRE(connect_to(where));
  CHECK(has_waiting(first.get()));
  CHECK_FALSE(has_waiting(second.get()));
}

TEST_CASE("hurt: whoever goes on connecting does not keep the master at a listener that it drops") {
  const auto where = Where::abstract("liveswap-flood");
  Desk desk(1);
  desk.join(1, 0);
  auto held = desk.bind(1, where);
  REQUIRE(desk.listen(1, held, 4096) == 0);
  desk.ready(1);
  desk.look();
  desk.close(1, std::move(held.fd));
  std::atomic<bool> over{false};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 4; ++i)
    crowd.emplace_back([&] {
      const auto began = std::chrono::steady_clock::now();
      while (!over && std::chrono::steady_clock::now() - began < std::chrono::seconds(15)) {
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ::connect(fd, where.get(), where.size);
        ::close(fd);
      }
    });
  const auto began = std::chrono::steady_clock::now();
  desk.look(3'000);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
  over = true;
  for (auto& one : crowd) one.join();
  CHECK(desk.takeover().idle());
}
