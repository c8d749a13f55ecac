// The address changes, and the port stays: who gets what comes to the old address, and what is a stranger's
// all the same.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "takeover_desk.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr int long_enough_ms = 10'000;

std::size_t adopted_at(const Desk& desk, rollout::WorkerId worker, const UniqueFd& listener) {
  return static_cast<std::size_t>(std::count_if(desk.told.begin(), desk.told.end(), [&](const auto& one) {
    return one.kind == LIVESWAP_ADOPT && one.worker == worker && one.text == cookie_text(listener.get()) &&
           one.descriptor;
  }));
}

bool is_ended(const UniqueFd& client) {
  pollfd wait{client.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

// A stranger's socket, which shares its port with whoever is the same user.
UniqueFd stranger_at(const Where& where) {
  auto fd = socket_for(where);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  REQUIRE(::bind(fd.get(), where.get(), where.size) == 0);
  if (where.type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

// From one address to another, for one slot: nothing that comes to `client` is lost at any time.
void check_change(const Where& from, const std::function<std::vector<Where>(std::uint16_t)>& to,
                  const Where& client) {
  Desk desk(1);
  desk.join(1, 0);
  auto old = desk.serve(1, from);
  const auto port = port_of(old.get());
  Where there = client;
  reinterpret_cast<sockaddr_in&>(there.storage).sin_port = htons(port);
  desk.ready(1);
  desk.look();
  desk.join(2, 0, 2);
  std::vector<UniqueFd> fresh;
  for (const auto& where : to(port)) fresh.push_back(desk.serve(2, where));
  desk.ready(2);
  desk.look(0, false);
  desk.drain(1);
  old.reset();
  std::size_t taken = 0;
  std::vector<UniqueFd> served;
  // During the upgrade, after it, at the drop, and later.
  for (int step = 0; step < 60; ++step) {
    CAPTURE(step);
    desk.told.clear();
    const auto connection = connect_to(there);
    REQUIRE(connection);
    desk.look(100, step > 20);
    std::size_t here = 0;
    for (const auto& one : fresh) {
      here += adopted_at(desk, 2, one);
      for (; has_waiting(one.get()); ++here) served.push_back(accept_from(one.get()));
    }
    taken += here;
    CHECK(here == 1);
    CHECK_FALSE(is_ended(connection));
  }
  CHECK(taken == 60);
  CHECK(desk.names().size() == fresh.size());
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
  Desk desk(1);
  desk.join(1, 0);
  const auto old = desk.serve(1, Where::v4(0, INADDR_ANY));
  const auto there = Where::v4(port_of(old.get()));
  desk.ready(1);
  desk.look();
  desk.join(2, 0, 2);
  auto fresh = desk.serve(2, there);
  desk.look(0, false);
  // It listens, and what comes to it before it is ready goes to who is.
  const auto early = connect_to(there);
  desk.look(0, false);
  CHECK(adopted_at(desk, 1, old) == 1);
  fresh.reset();
  desk.leave(2);
  for (int step = 0; step < 50; ++step) {
    desk.told.clear();
    const auto client = connect_to(there);
    REQUIRE(client);
    desk.look(100);
    std::size_t here = adopted_at(desk, 1, old);
    for (; has_waiting(old.get()); ++here) accept_from(old.get());
    CHECK(here == 1);
  }
  CHECK(desk.names().size() == 1);
}

TEST_CASE("address: a stranger's port is taken, also where ours is there, too") {
  for (const auto& make : {+[](std::uint16_t port, std::uint32_t host) { return Where::v4(port, host); },
                           +[](std::uint16_t port, std::uint32_t host) {
                             auto where = Where::v4(port, host);
                             where.type = SOCK_DGRAM;
                             return where;
                           }}) {
    Desk desk;
    desk.join(1, 0);
    const auto own = desk.serve(1, make(0, INADDR_LOOPBACK));
    const auto port = port_of(own.get());
    desk.join(2, 0, 2);
    const auto stranger = stranger_at(make(port, INADDR_LOOPBACK + 1));
    CHECK(desk.bind(2, make(port, INADDR_ANY)).error == EADDRINUSE);
    CHECK(desk.bind(2, make(port, INADDR_LOOPBACK + 1)).error == EADDRINUSE);
    CHECK(desk.bind(2, make(port, INADDR_LOOPBACK + 2)).error == 0);
  }
}

TEST_CASE("address: one process cannot have both, as without a master") {
  Desk desk;
  desk.join(1, 0);
  const auto own = desk.serve(1, Where::v4(0));
  CHECK(desk.bind(1, Where::v4(port_of(own.get()), INADDR_ANY)).error == EADDRINUSE);
  CHECK(desk.bind(1, Where::v6(port_of(own.get()), "::")).error == EADDRINUSE);
  CHECK(desk.bind(1, Where::v6(port_of(own.get()), "::", true)).error == 0);
}

TEST_CASE("address: datagrams change theirs, too") {
  Desk desk(1);
  desk.join(1, 0);
  auto old = desk.serve(1, Where::udp(0));
  auto any = Where::v4(port_of(old.get()), INADDR_ANY);
  any.type = SOCK_DGRAM;
  desk.ready(1);
  desk.look();
  desk.join(2, 0, 2);
  const auto fresh = desk.serve(2, any);
  desk.ready(2);
  desk.drain(1);
  old.reset();
  desk.look(long_enough_ms);
  const auto where = Where::udp(port_of(fresh.get()));
  const auto client = socket_for(where);
  CHECK(::sendto(client.get(), "x", 1, 0, where.get(), where.size) == 1);
  char byte = 0;
  CHECK(::recv(fresh.get(), &byte, 1, MSG_DONTWAIT) == 1);
}

TEST_CASE("address: who drains by itself polls a listener that has been dropped in peace") {
  for (const auto& where : {Where::v4(0), Where::udp(0), Where::abstract("liveswap-spared")}) {
    CAPTURE(where.type);
    Desk desk(1);
    desk.join(1, 0);
    auto old = desk.serve(1, where);
    const bool internet = where.domain == AF_INET;
    const auto there = where.type == SOCK_DGRAM ? Where::udp(port_of(old.get()))
                       : internet               ? Where::v4(port_of(old.get()))
                                                : where;
    desk.ready(1);
    desk.look();
    desk.join(2, 0, 2);
    desk.ready(2);
    desk.drain(1);
    desk.look(long_enough_ms);
    CHECK(desk.takeover().idle());
    pollfd wait{old.get(), POLLIN | POLLRDHUP, 0};
    CHECK(::poll(&wait, 1, 0) == 0);
    if (!internet) continue;
    // Refused, and free for the next one, while it is polled still.
    if (where.type == SOCK_STREAM) CHECK_FALSE(connect_to(there));
    const auto again = desk.bind(2, there);
    CHECK(again.error == 0);
    CHECK(cookie(again.fd.get()) != cookie(old.get()));
    if (where.type != SOCK_STREAM) continue;
    REQUIRE(desk.listen(2, again) == 0);
    REQUIRE(connect_to(there));
    CHECK(has_waiting(again.fd.get()));
    CHECK_FALSE(has_waiting(old.get()));
  }
}
