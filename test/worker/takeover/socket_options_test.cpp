// Options of listeners are told to the master, and copied (takeover/socket_options.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

extern "C" {
#include "worker/takeover/socket_options.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

UniqueFd tcp() { return UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

int set(const UniqueFd& fd, int level, int name, int value) {
  return socket_options_set(fd.get(), level, name, &value, sizeof value);
}

int get(const UniqueFd& fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd.get(), level, name, &value, &size) == 0);
  return value;
}

liveswap_option told(const UnitWorker& worker) {
  const auto frame = worker.receive();
  REQUIRE(frame.has_value());
  REQUIRE(frame->kind == LIVESWAP_OPTION);
  liveswap_option option{};
  REQUIRE(frame->text.size() == sizeof option);
  std::memcpy(&option, frame->text.data(), sizeof option);
  return option;
}

}  // namespace

TEST_CASE("socket_options: one that is set is told") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = tcp();
    REQUIRE(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    REQUIRE(get(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    const liveswap_option option = told(worker);
    REQUIRE(option.cookie == cookie_of(fd.get()));
    REQUIRE(option.level == SOL_SOCKET);
    REQUIRE(option.name == SO_KEEPALIVE);
    REQUIRE(option.size == sizeof(int));
    int value = 0;
    std::memcpy(&value, option.value, sizeof value);
    REQUIRE(value == 1);
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("socket_options: one that could not be set is the application's error, and not told") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = tcp();
    errno = 0;
    REQUIRE(set(fd, SOL_SOCKET, 9999, 1) == -1);
    REQUIRE(errno == ENOPROTOOPT);
    errno = 0;
    REQUIRE(socket_options_set(0, SOL_SOCKET, SO_KEEPALIVE, nullptr, 0) == -1);
    REQUIRE(errno == ENOTSOCK);
    REQUIRE(socket_options_set(-1, SOL_SOCKET, SO_KEEPALIVE, nullptr, 0) == -1);
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("socket_options: errno is libc's when the master cannot be told") {
  CHECK(in_child([] {
    UnitWorker worker;
    const UniqueFd fd = tcp();
    worker.die();
    errno = ENOTTY;
    REQUIRE(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    REQUIRE(errno == ENOTTY);
  }));
}

TEST_CASE("socket_options: a value that is long is cut for the master alone") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = tcp();
    // The kernel reads as much of it as it needs.
    unsigned char value[1000] = {1};
    REQUIRE(socket_options_set(fd.get(), SOL_SOCKET, SO_KEEPALIVE, value, sizeof value) == 0);
    const liveswap_option option = told(worker);
    REQUIRE(option.size == sizeof option.value);
    REQUIRE(option.value[0] == 1);
  }));
}

TEST_CASE("socket_options: an application that sets them again and again is heard some hundred times") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd fd = tcp();
    int heard = 0;
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(set(fd, SOL_SOCKET, SO_KEEPALIVE, i % 2) == 0);
      while (worker.receive().has_value()) ++heard;
    }
    REQUIRE(heard == 256);
  }));
}

TEST_CASE("socket_options: copied, and told of the copy") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const UniqueFd from = tcp(), to = tcp();
    const int one = 1, seconds = 77, bytes = 40'000;
    const timeval limit{5, 0};
    for (const int name : {SO_KEEPALIVE, SO_OOBINLINE})
      REQUIRE(::setsockopt(from.get(), SOL_SOCKET, name, &one, sizeof one) == 0);
    REQUIRE(::setsockopt(from.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
    REQUIRE(::setsockopt(from.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    REQUIRE(::setsockopt(from.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    REQUIRE(::setsockopt(from.get(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds) == 0);
    socket_options_copy(from.get(), to.get());
    REQUIRE(get(to, SOL_SOCKET, SO_KEEPALIVE) == 1);
    REQUIRE(get(to, SOL_SOCKET, SO_OOBINLINE) == 1);
    REQUIRE(get(to, SOL_SOCKET, SO_RCVBUF) == get(from, SOL_SOCKET, SO_RCVBUF));
    REQUIRE(get(to, IPPROTO_TCP, TCP_NODELAY) == 1);
    REQUIRE(get(to, IPPROTO_TCP, TCP_KEEPIDLE) == seconds);
    timeval copied{};
    socklen_t size = sizeof copied;
    REQUIRE(::getsockopt(to.get(), SOL_SOCKET, SO_SNDTIMEO, &copied, &size) == 0);
    REQUIRE(copied.tv_sec == 5);
    int count = 0;
    while (const auto frame = worker.receive()) ++count;
    REQUIRE(count == 6);
    // What is the same already is not set again: that would end the kernel's own sizing of buffers.
    socket_options_copy(from.get(), to.get());
    REQUIRE(!worker.receive().has_value());
  }));
}

TEST_CASE("socket_options: what is no TCP socket gets none of TCP's") {
  CHECK(in_child([] {
    const UnitWorker worker;
    const int one = 1;
    for (const int domain : {AF_UNIX, AF_INET}) {
      const int type = domain == AF_UNIX ? SOCK_STREAM : SOCK_DGRAM;
      const UniqueFd from = UniqueFd::adopt(::socket(domain, type | SOCK_CLOEXEC, 0)),
                     to = UniqueFd::adopt(::socket(domain, type | SOCK_CLOEXEC, 0));
      REQUIRE(::setsockopt(from.get(), SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one) == 0);
      socket_options_copy(from.get(), to.get());
      REQUIRE(told(worker).name == SO_KEEPALIVE);
      REQUIRE(!worker.receive().has_value());
    }
    socket_options_copy(-1, -1);
    socket_options_copy(0, 0);
    REQUIRE(!worker.receive().has_value());
  }));
}
