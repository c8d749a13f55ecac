// setsockopt on listeners that the master holds (interpose/setsockopt.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <netinet/tcp.h>

#include <optional>

using namespace liveswap;
using namespace liveswap::test;

namespace {

int get(const UniqueFd& fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd.get(), level, name, &value, &size) == 0);
  return value;
}

int set(const UniqueFd& fd, int level, int name, int value) {
  errno = 0;
  return ::setsockopt(fd.get(), level, name, &value, sizeof value);
}

std::optional<liveswap_option> told(const HostedWorker& worker) {
  const auto frame = worker.receive();
  if (!frame.has_value()) return std::nullopt;
  liveswap_option option{};
  REQUIRE(frame->kind == LIVESWAP_OPTION);
  REQUIRE(frame->text.size() == sizeof option);
  std::memcpy(&option, frame->text.data(), sizeof option);
  return option;
}

}  // namespace

TEST_CASE("setsockopt: the master learns what the application sets on a listener") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    REQUIRE(set(held.fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0);
    REQUIRE(get(held.fd, IPPROTO_TCP, TCP_NODELAY) == 1);
    const auto option = told(worker);
    REQUIRE(option.has_value());
    REQUIRE(option->cookie == held.cookie);
    REQUIRE(option->level == IPPROTO_TCP);
    REQUIRE(option->name == TCP_NODELAY);
    REQUIRE(option->size == sizeof(int));
    REQUIRE(option->value[0] == 1);
    REQUIRE(set(held.fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    REQUIRE(told(worker)->name == SO_KEEPALIVE);
  }));
}

TEST_CASE("setsockopt: an option that cannot be set is not told") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    REQUIRE(set(held.fd, SOL_SOCKET, 4711, 1) == -1);
    REQUIRE(errno == ENOPROTOOPT);
    REQUIRE(::setsockopt(held.fd.get(), SOL_SOCKET, SO_KEEPALIVE, nullptr, sizeof(int)) == -1);
    REQUIRE(errno == EFAULT);
    REQUIRE(!told(worker).has_value());
  }));
}

TEST_CASE("setsockopt: a socket that is not the master's, also behind an old flag, is nobody else's affair") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd own = masters_listener(), stale = masters_listener(), connection = make_socket();
    fd_flags_set(own.get(), FLAG_OWN);
    fd_flags_set(stale.get(), FLAG_HELD);
    for (const UniqueFd* const each : {&own, &stale, &connection}) {
      REQUIRE(set(*each, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
      REQUIRE(get(*each, SOL_SOCKET, SO_KEEPALIVE) == 1);
    }
    REQUIRE(fd_flags(stale.get()) == 0);
    REQUIRE(set(UniqueFd::adopt(-1), SOL_SOCKET, SO_KEEPALIVE, 1) == -1);
    REQUIRE(errno == EBADF);
    REQUIRE(!told(worker).has_value());
  }));
}

TEST_CASE("setsockopt: a forked child sets, and tells nothing") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    REQUIRE(in_child([&] { REQUIRE(set(held.fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0); }));
    REQUIRE(get(held.fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_FORKED});
  }));
}
