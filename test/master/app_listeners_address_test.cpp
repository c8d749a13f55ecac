// An upgrade changes the address but not the port: which worker gets connections to the old address, and
// which sockets count as another program's.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr int long_enough_ms = 10'000;

std::size_t adopted_at(const Fixture& fixture, rollout::WorkerId worker, const UniqueFd& listener) {
  return static_cast<std::size_t>(
      std::count_if(fixture.told.begin(), fixture.told.end(), [&](const auto& one) {
        return one.kind == LIVESWAP_ADOPT && one.worker == worker &&
               one.text == cookie_text(listener.get()) && one.descriptor;
      }));
}

bool is_ended(const UniqueFd& client) {
  pollfd wait{client.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

// Another program's socket, with SO_REUSEPORT.
UniqueFd stranger_at(const Where& where) {
  auto fd = socket_for(where);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  REQUIRE(::bind(fd.get(), where.get(), where.size) == 0);
  if (where.type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

// One slot changes from one address to another: no connection to `client` is lost at any time.
void check_change(const Where& from, const std::function<std::vector<Where>(std::uint16_t)>& to,
                  const Where& client) {
  Fixture fixture(1);
  fixture.join(1, 0);
  auto old = fixture.serve(1, from);
  const auto port = port_of(old.get());
  Where there = client;
  reinterpret_cast<sockaddr_in&>(there.storage).sin_port = htons(port);
  fixture.ready(1);
  fixture.look();
  fixture.join(2, 0, 2);
  std::vector<UniqueFd> fresh;
  for (const auto& where : to(port)) fresh.push_back(fixture.serve(2, where));
  fixture.ready(2);
  fixture.look(0, false);
  fixture.drain(1);
  old.reset();
  std::size_t taken = 0;
  std::vector<UniqueFd> served;
  // During the upgrade, after it, at the drop, and later.
  for (int step = 0; step < 60; ++step) {
    CAPTURE(step);
    fixture.told.clear();
    const auto connection = connect_to(there);
    REQUIRE(connection);
    fixture.look(100, step > 20);
    std::size_t here = 0;
    for (const auto& one : fresh) {
      here += adopted_at(fixture, 2, one);
      for (; has_waiting(one.get()); ++here) served.push_back(accept_from(one.get()));
    }
    taken += here;
    CHECK(here == 1);
    CHECK_FALSE(is_ended(connection));
  }
  CHECK(taken == 60);
  CHECK(fixture.names().size() == fresh.size());
}

}  // namespace

TEST_CASE("address: from one to every address and back, from one family to both and back, at one port") {
  const auto any = INADDR_ANY;
  const auto at = [](std::uint16_t port, std::uint32_t host) {
    return std::vector<Where>{Where::v4(port, host)};
  };
  check_change(
      Where::v4(0), [&](auto port) { return at(port, any); }, Where::v4(0));
  check_change(
      Where::v4(0, any), [&](auto port) { return at(port, INADDR_LOOPBACK); }, Where::v4(0));
  check_change(
      Where::v4(0, any), [&](auto port) { return std::vector{Where::v6(port, "::")}; }, Where::v4(0));
  check_change(
      Where::v6(0, "::"), [&](auto port) { return at(port, any); }, Where::v4(0));
  check_change(
      Where::v6(0, "::1"), [&](auto port) { return std::vector{Where::v6(port, "::", true)}; },
      Where::v6(0, "::1"));
  for (const auto& client : {Where::v4(0), Where::v6(0, "::1")}) {
    check_change(
        Where::v6(0, "::"),
        [&](auto port) {
          return std::vector{Where::v6(port, "::", true), Where::v4(port, any)};
        },
        client);
  }
}

TEST_CASE("address: a change that fails leaves the old one as it was") {
  Fixture fixture(1);
  fixture.join(1, 0);
  const auto old = fixture.serve(1, Where::v4(0, INADDR_ANY));
  const auto there = Where::v4(port_of(old.get()));
  fixture.ready(1);
  fixture.look();
  fixture.join(2, 0, 2);
  auto fresh = fixture.serve(2, there);
  fixture.look(0, false);
  // It listens, but is not ready: its connections go to the worker that is.
  const auto early = connect_to(there);
  fixture.look(0, false);
  CHECK(adopted_at(fixture, 1, old) == 1);
  fresh.reset();
  fixture.leave(2);
  for (int step = 0; step < 50; ++step) {
    fixture.told.clear();
    const auto client = connect_to(there);
    REQUIRE(client);
    fixture.look(100);
    std::size_t here = adopted_at(fixture, 1, old);
    for (; has_waiting(old.get()); ++here) accept_from(old.get());
    CHECK(here == 1);
  }
  CHECK(fixture.names().size() == 1);
}

TEST_CASE("address: a port of another program is taken, even if the master has it too") {
  for (const auto& make : {+[](std::uint16_t port, std::uint32_t host) { return Where::v4(port, host); },
                           +[](std::uint16_t port, std::uint32_t host) {
                             auto where = Where::v4(port, host);
                             where.type = SOCK_DGRAM;
                             return where;
                           }}) {
    Fixture fixture;
    fixture.join(1, 0);
    const auto own = fixture.serve(1, make(0, INADDR_LOOPBACK));
    const auto port = port_of(own.get());
    fixture.join(2, 0, 2);
    const auto stranger = stranger_at(make(port, INADDR_LOOPBACK + 1));
    CHECK(fixture.bind(2, make(port, INADDR_ANY)).error == EADDRINUSE);
    CHECK(fixture.bind(2, make(port, INADDR_LOOPBACK + 1)).error == EADDRINUSE);
    CHECK(fixture.bind(2, make(port, INADDR_LOOPBACK + 2)).error == 0);
  }
}

TEST_CASE("address: one process cannot have both, as without a master") {
  Fixture fixture;
  fixture.join(1, 0);
  const auto own = fixture.serve(1, Where::v4(0));
  CHECK(fixture.bind(1, Where::v4(port_of(own.get()), INADDR_ANY)).error == EADDRINUSE);
  CHECK(fixture.bind(1, Where::v6(port_of(own.get()), "::")).error == EADDRINUSE);
  CHECK(fixture.bind(1, Where::v6(port_of(own.get()), "::", true)).error == 0);
}

TEST_CASE("address: UDP sockets change their address too") {
  Fixture fixture(1);
  fixture.join(1, 0);
  auto old = fixture.serve(1, Where::udp(0));
  auto any = Where::v4(port_of(old.get()), INADDR_ANY);
  any.type = SOCK_DGRAM;
  fixture.ready(1);
  fixture.look();
  fixture.join(2, 0, 2);
  const auto fresh = fixture.serve(2, any);
  fixture.ready(2);
  fixture.drain(1);
  old.reset();
  fixture.look(long_enough_ms);
  const auto where = Where::udp(port_of(fresh.get()));
  const auto client = socket_for(where);
  CHECK(::sendto(client.get(), "x", 1, 0, where.get(), where.size) == 1);
  char byte = 0;
  CHECK(::recv(fresh.get(), &byte, 1, MSG_DONTWAIT) == 1);
}

TEST_CASE("address: a worker that drains by itself can go on polling a dropped listener") {
  for (const auto& where : {Where::v4(0), Where::udp(0), Where::abstract("liveswap-spared")}) {
    CAPTURE(where.type);
    Fixture fixture(1);
    fixture.join(1, 0);
    auto old = fixture.serve(1, where);
    const bool internet = where.domain == AF_INET;
    const auto there = where.type == SOCK_DGRAM ? Where::udp(port_of(old.get()))
                       : internet               ? Where::v4(port_of(old.get()))
                                                : where;
    fixture.ready(1);
    fixture.look();
    fixture.join(2, 0, 2);
    fixture.ready(2);
    fixture.drain(1);
    fixture.look(long_enough_ms);
    CHECK(fixture.app_listeners().idle());
    pollfd wait{old.get(), POLLIN | POLLRDHUP, 0};
    CHECK(::poll(&wait, 1, 0) == 0);
    if (!internet) continue;
    // Refused and free for a new bind, although still polled.
    if (where.type == SOCK_STREAM) CHECK_FALSE(connect_to(there));
    const auto again = fixture.bind(2, there);
    CHECK(again.error == 0);
    CHECK(cookie(again.fd.get()) != cookie(old.get()));
    if (where.type != SOCK_STREAM) continue;
    REQUIRE(fixture.listen(2, again) == 0);
    REQUIRE(connect_to(there));
    CHECK(has_waiting(again.fd.get()));
    CHECK_FALSE(has_waiting(old.get()));
  }
}
