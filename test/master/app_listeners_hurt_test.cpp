// What applications and clients can do to sockets that the master shares with applications.
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

#include "app_listeners_fixture.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;

TEST_CASE("hurt: a Unix socket that was shut down is replaced by the next bind") {
  const TempDir dir;
  for (const auto& where : {Where::path(dir / "app.sock"), Where::abstract(dir / "name")}) {
    Fixture fixture(1);
    fixture.join(1, 0);
    auto old = fixture.serve(1, where);
    fixture.ready(1);
    fixture.look();
    REQUIRE(::shutdown(old.get(), SHUT_RDWR) == 0);
    const auto before = cookie(old.get());
    old.reset();
    fixture.leave(1);
    fixture.listeners().repair();
    fixture.join(2, 0);
    Fixture::Held held;
    // An abstract name is free once the last socket is closed, which happens in the background.
    for (int i = 0; i < 1'000 && (held = fixture.bind(2, where)).error == EADDRINUSE; ++i) ::usleep(1'000);
    REQUIRE(held.error == 0);
    REQUIRE(fixture.listen(2, held) == 0);
    CHECK(cookie(held.fd.get()) != before);
    CHECK(connect_to(where));
    CHECK(has_waiting(held.fd.get()));
    fixture.ready(2);
    fixture.look();
    CHECK(fixture.names().size() == 1);
  }
}

TEST_CASE("hurt: the worker that has shut its Unix socket down can bind it again") {
  const TempDir dir;
  const auto where = Where::path(dir / "app.sock");
  Fixture fixture(1);
  fixture.join(1, 0);
  const auto old = fixture.serve(1, where);
  fixture.ready(1);
  fixture.look();
  REQUIRE(::shutdown(old.get(), SHUT_RD) == 0);
  const auto again = fixture.serve(1, where);
  CHECK(connect_to(where));
  CHECK(has_waiting(again.get()));
}

TEST_CASE("hurt: a Unix socket of --listen that was shut down is replaced at its path") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  const auto where = Where::path(path);
  Fixture fixture(1, {}, {{"local", "unix:" + path}});
  REQUIRE(::chmod(path.c_str(), 0604) == 0);
  const auto old = UniqueFd::adopt(::dup(fixture.listeners().of_slot(0)[0]));
  REQUIRE(::shutdown(old.get(), SHUT_RDWR) == 0);
  REQUIRE_FALSE(connect_to(where));
  fixture.listeners().repair();
  const int fresh = fixture.listeners().of_slot(0)[0];
  CHECK(cookie(fresh) != cookie(old.get()));
  CHECK(connect_to(where));
  CHECK(has_waiting(fresh));
  struct stat file {};
  REQUIRE(::lstat(path.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0604);
  CHECK(::access((path + ".again").c_str(), F_OK) != 0);
  // Also a staged one, beside the path.
  REQUIRE(fixture.listeners().stage().has_value());
  REQUIRE(::shutdown(fixture.listeners().of_slot(0, true)[0], SHUT_RDWR) == 0);
  fixture.listeners().repair();
  REQUIRE(fixture.listeners().flip().has_value());
  CHECK(connect_to(where));
  CHECK(has_waiting(fixture.listeners().of_slot(0)[0]));
}

TEST_CASE("hurt: an unseen listen() does not change the backlog") {
  Fixture::Rules rules;
  rules.backlog = 64;
  Fixture fixture(1, rules);
  fixture.join(1, 0);
  const auto held = fixture.bind(1, Where::v4(0));
  REQUIRE(::listen(held.fd.get(), 64) == 0);
  fixture.listeners().repair();
  fixture.listeners().repair();
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

TEST_CASE("hurt: a listener may block until it has once been non-blocking") {
  for (const auto& where : {Where::v4(0), Where::abstract("liveswap-blocks-" + std::to_string(::getpid()))}) {
    Fixture fixture(1);
    fixture.join(1, 0);
    const auto held = fixture.bind(1, where);
    REQUIRE(fixture.listen(1, held, 10) == 0);
    const int fd = held.fd.get(), flags = ::fcntl(fd, F_GETFL);
    fixture.listeners().repair();
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    REQUIRE(::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
    fixture.listeners().repair();
    REQUIRE(::fcntl(fd, F_SETFL, flags) == 0);
    fixture.listeners().repair();
    CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("hurt: an application's own steering program is replaced") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.serve(1, Where::v4(0));
  const auto where = Where::v4(port_of(first.get()));
  const auto second = fixture.serve(2, where);
  fixture.ready(1);
  fixture.ready(2);
  fixture.look();
  fixture.listeners().steer(2, {1});
  sock_filter always_second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
  const sock_fprog program{1, always_second};
  REQUIRE(::setsockopt(second.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0);
  fixture.listeners().steer(2, {1});
  for (int i = 0; i < 20; ++i) REQUIRE(connect_to(where));
  CHECK(has_waiting(first.get()));
  CHECK_FALSE(has_waiting(second.get()));
}

TEST_CASE("hurt: clients that go on connecting do not delay the drop of a listener") {
  const auto where = Where::abstract("liveswap-flood");
  Fixture fixture(1);
  fixture.join(1, 0);
  auto held = fixture.bind(1, where);
  REQUIRE(fixture.listen(1, held, 4096) == 0);
  fixture.ready(1);
  fixture.look();
  fixture.close(1, std::move(held.fd));
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
  fixture.look(3'000);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
  over = true;
  for (auto& one : crowd) one.join();
  CHECK(fixture.app_listeners().idle());
}
