// Which socket a worker gets for the address that it binds, and what is refused.
#include "master/app_listeners/app_listeners.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

Fixture::Rules in_mode(ListenMode mode) {
  Fixture::Rules rules;
  rules.per_slot = mode == ListenMode::reuseport;
  return rules;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(fd, SOL_SOCKET, name, &value, &size);
  return value;
}

std::string changed(const Where& where, const std::function<void(liveswap_bind&)>& change) {
  auto text = where.text();
  liveswap_bind said;
  std::memcpy(&said, text.data(), sizeof said);
  change(said);
  std::memcpy(text.data(), &said, sizeof said);
  return text;
}

}  // namespace

TEST_CASE("app listeners: the kernel chooses port 0 once, for every slot and generation") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.serve(1, Where::v4(0));
  const auto second = fixture.serve(2, Where::v4(0));
  CHECK(port_of(first.get()) != 0);
  CHECK(port_of(first.get()) == port_of(second.get()));
  CHECK(cookie(first.get()) != cookie(second.get()));

  fixture.join(3, 0, 2);
  const auto later = fixture.serve(3, Where::v4(0));
  CHECK(cookie(later.get()) == cookie(first.get()));
  CHECK(fixture.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port_of(first.get()))});

  // By number it is the same one.
  fixture.join(4, 1, 2);
  CHECK(cookie(fixture.serve(4, Where::v4(port_of(first.get()))).get()) == cookie(second.get()));
}

TEST_CASE("app listeners: each further port 0 of a worker is another one, in the same order for all") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto a = fixture.serve(1, Where::v4(0)), b = fixture.serve(1, Where::v4(0));
  const auto c = fixture.serve(2, Where::v4(0)), d = fixture.serve(2, Where::v4(0));
  CHECK(port_of(a.get()) != port_of(b.get()));
  CHECK(port_of(a.get()) == port_of(c.get()));
  CHECK(port_of(b.get()) == port_of(d.get()));
  CHECK(fixture.names().size() == 2);
}

TEST_CASE("app listeners: every slot has a socket of its own, and connections go to all that serve") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.serve(1, Where::v4(0));
  const auto where = Where::v4(port_of(first.get()));
  const auto second = fixture.serve(2, where);
  fixture.ready(1);
  fixture.ready(2);
  fixture.look();
  std::map<bool, int> dealt;
  for (int i = 0; i < 100; ++i) {
    const auto client = connect_to(where);
    REQUIRE(client);
    pollfd wait[2] = {{first.get(), POLLIN, 0}, {second.get(), POLLIN, 0}};
    REQUIRE(::poll(wait, 2, 10'000) == 1);
    ++dealt[wait[0].revents != 0];
    accept_from(wait[0].revents ? first.get() : second.get());
  }
  CHECK(dealt.size() == 2);
}

TEST_CASE("app listeners: in shared mode all slots get one socket") {
  Fixture fixture(2, in_mode(ListenMode::shared), {}, ListenMode::shared);
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto first = fixture.bind(1, Where::v4(0));
  CHECK_FALSE(first.given);
  const auto second = fixture.bind(2, Where::v4(0));
  CHECK(second.given);
  CHECK(cookie(first.fd.get()) == cookie(second.fd.get()));
}

TEST_CASE("app listeners: the application's own socket is kept, with its options") {
  Fixture fixture;
  fixture.join(1, 0);
  auto own = socket_for(Where::v4(0));
  const int on = 1;
  REQUIRE(::setsockopt(own.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
  const auto name = cookie(own.get());
  REQUIRE(fixture.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(own)) == 0);
  fixture.join(2, 0, 2);
  const auto later = fixture.bind(2, Where::v4(0));
  CHECK(later.given);
  CHECK(cookie(later.fd.get()) == name);
  CHECK(option(later.fd.get(), SO_KEEPALIVE) == 1);
}

TEST_CASE("app listeners: a backlog grows, and never shrinks") {
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.bind(1, Where::v4(0));
  REQUIRE(fixture.listen(1, held, 100) == 0);
  REQUIRE(fixture.listen(1, held, 1) == 0);
  for (int i = 0; i < 20; ++i) CHECK(connect_to(Where::v4(port_of(held.fd.get()))));
}

TEST_CASE("app listeners: the address of a lent listener means that listener") {
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared}) {
    Fixture fixture(2, in_mode(mode), {{"http", "127.0.0.1:0"}, {"six", "[::1]:0"}}, mode);
    fixture.join(1, 1);
    const auto lent = fixture.listeners().of_slot(1);
    // The kernel chooses another port for the application's port 0.
    CHECK_FALSE(fixture.bind(1, Where::v4(0)).given);
    const auto four = fixture.bind(1, Where::v4(port_of(lent[0])));
    CHECK(four.error == 0);
    CHECK(cookie(four.fd.get()) == cookie(lent[0]));
    CHECK(fixture.listen(1, four) == 0);
    // IPV6_V6ONLY does not matter for a specific IPv6 address.
    for (const bool only : {false, true}) {
      const auto six = fixture.bind(1, Where::v6(port_of(lent[1]), "::1", only));
      CHECK(six.error == 0);
      CHECK(cookie(six.fd.get()) == cookie(lent[1]));
    }
    CHECK(fixture.names().empty());
  }
}

TEST_CASE("app listeners: both families, one socket each or one for both") {
  Fixture fixture;
  fixture.join(1, 0);
  const auto dual = fixture.serve(1, Where::v6(0, "::"));
  const auto port = port_of(dual.get());
  CHECK(connect_to(Where::v4(port)));
  CHECK(connect_to(Where::v6(port, "::1")));
  CHECK(fixture.bind(1, Where::v4(port, INADDR_ANY)).error == EADDRINUSE);
  CHECK(fixture.bind(1, Where::v6(port, "::", true)).error == EADDRINUSE);

  const auto six = fixture.serve(1, Where::v6(0, "::", true));
  const auto four = fixture.serve(1, Where::v4(port_of(six.get()), INADDR_ANY));
  CHECK(cookie(six.get()) != cookie(four.get()));
  CHECK(connect_to(Where::v4(port_of(six.get()))));
  CHECK(has_waiting(four.get()));
  CHECK_FALSE(has_waiting(six.get()));

  const auto mapped = fixture.serve(1, Where::v6(0, "::ffff:127.0.0.1"));
  CHECK(connect_to(Where::v4(port_of(mapped.get()))));
  CHECK(has_waiting(mapped.get()));
}

TEST_CASE("app listeners: an address of another program is refused") {
  for (const bool reuses : {false, true}) {
    const auto stranger = socket_for(Where::v4(0));
    const int on = reuses;
    ::setsockopt(stranger.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const auto any = Where::v4(0);
    REQUIRE(::bind(stranger.get(), any.get(), any.size) == 0);
    REQUIRE(::listen(stranger.get(), 1) == 0);
    Fixture fixture;
    fixture.join(1, 0);
    CHECK(fixture.bind(1, Where::v4(port_of(stranger.get()))).error == EADDRINUSE);
    fixture.look();
    CHECK(fixture.app_listeners().idle());
  }
  const auto stranger = socket_for(Where::udp(0));
  const int on = 1;
  ::setsockopt(stranger.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const auto any = Where::udp(0);
  REQUIRE(::bind(stranger.get(), any.get(), any.size) == 0);
  Fixture fixture;
  fixture.join(1, 0);
  CHECK(fixture.bind(1, Where::udp(port_of(stranger.get()))).error == EADDRINUSE);
}

TEST_CASE("app listeners: datagrams reach a bound socket") {
  Fixture fixture;
  fixture.join(1, 0);
  const auto held = fixture.bind(1, Where::udp(0));
  REQUIRE(held.error == 0);
  CHECK(fixture.listen(1, held) == EOPNOTSUPP);
  const auto where = Where::udp(port_of(held.fd.get()));
  const auto client = socket_for(where);
  CHECK(::sendto(client.get(), "x", 1, 0, where.get(), where.size) == 1);
  char byte = 0;
  CHECK(::recv(held.fd.get(), &byte, 1, 0) == 1);
  fixture.join(2, 0, 2);
  CHECK(cookie(fixture.bind(2, where).fd.get()) == cookie(held.fd.get()));
}

TEST_CASE("app listeners: invalid frames are refused, and cost no descriptor") {
  Fixture fixture(2, {}, {{"http", "127.0.0.1:0"}});
  fixture.join(1, 0);
  fixture.look();
  const auto before = open_descriptors();
  const auto bind = [&](const std::string& text, UniqueFd fd, bool crippled = false) {
    return fixture.ask(1, LIVESWAP_BIND, text, 0, std::move(fd), crippled);
  };
  const Where any = Where::v4(0);
  const auto fresh = [&] { return socket_for(any); };

  CHECK(bind("", fresh()) == EINVAL);
  CHECK(bind(any.text() + "x", fresh()) == EINVAL);
  CHECK(bind(any.text().substr(1), fresh()) == EINVAL);
  for (const std::uint32_t size : {0u, 1u, 15u, 129u, 0xffffffffu})
    CHECK(bind(changed(any, [&](auto& said) { said.address_size = size; }), fresh()) == EINVAL);
  CHECK(bind(changed(any, [](auto& said) { said.domain = AF_NETLINK; }), fresh()) == EAFNOSUPPORT);
  CHECK(bind(changed(any, [](auto& said) { said.domain = AF_INET6; }), fresh()) == EINVAL);
  CHECK(bind(changed(any, [](auto& said) { said.address[0] = AF_INET6; }), fresh()) == EINVAL);
  CHECK(bind(changed(any, [](auto& said) { said.type = SOCK_RAW; }), fresh()) == EPROTONOSUPPORT);
  CHECK(bind(changed(any, [](auto& said) { said.protocol = IPPROTO_SCTP; }), fresh()) == EPROTONOSUPPORT);
  const auto relative = Where::path("relative");
  CHECK(bind(relative.text(), socket_for(relative)) == EINVAL);
  const auto long_one =
      changed(Where::path("/x"), [](auto& said) { said.address_size = sizeof(sockaddr_un) + 1; });
  CHECK(bind(long_one, socket_for(relative)) == EINVAL);

  CHECK(bind(any.text(), {}) == EBADF);
  CHECK(bind(any.text(), {}, true) == EMFILE);
  CHECK(bind(any.text(), UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC))) == ENOTSOCK);
  CHECK(bind(any.text(), socket_for(Where::udp(0))) == ENOTSOCK);
  CHECK(bind(any.text(), socket_for(relative)) == ENOTSOCK);
  CHECK(bind(Where::v6(0, "::", true).text(), socket_for(Where::v6(0, "::", false))) == EINVAL);
  auto bound = fresh();
  REQUIRE(::bind(bound.get(), any.get(), any.size) == 0);
  CHECK(bind(any.text(), std::move(bound)) == EINVAL);
  auto listens = fresh();
  REQUIRE(::listen(listens.get(), 1) == 0);
  const auto own = Where::v4(port_of(listens.get()));
  CHECK(bind(any.text(), UniqueFd::adopt(::dup(listens.get()))) == EINVAL);
  CHECK(bind(any.text(), connect_to(own)) == EINVAL);
  listens.reset();

  for (const std::string& text :
       {std::string(), std::string(7, 'x'), std::string(8, '\0'), std::string(8, 'x')}) {
    CHECK(fixture.ask(1, LIVESWAP_LISTEN, text) == EBADF);
    CHECK(fixture.ask(1, LIVESWAP_HANDOFF, text, 0, fresh()) == EBADF);
    fixture.tell(1, LIVESWAP_UNLISTEN, text);
  }
  for (const std::string& path :
       {std::string(), std::string("relative"), std::string("/a\0b", 4), "/" + std::string(5000, 'x')})
    CHECK(fixture.ask(1, LIVESWAP_UNLINK, path) == EINVAL);
  CHECK(fixture.ask(1, LIVESWAP_UNLINK, "/proc/self/status") == ENOTSOCK);
  fixture.told.clear();
  fixture.look();
  CHECK(has_no_more_than(before));
  CHECK(fixture.app_listeners().idle());
}

TEST_CASE("app listeners: a worker names only sockets that it was given") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 1);
  const auto held = fixture.bind(1, Where::v4(0));
  CHECK(fixture.listen(2, held) == EBADF);
  CHECK(fixture.listen(1, held) == 0);
}

TEST_CASE("app listeners: the number of addresses is bounded") {
  Fixture fixture;
  fixture.join(1, 0);
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < LIVESWAP_LISTENERS_MAX; ++i) sockets.push_back(fixture.serve(1, Where::v4(0)));
  CHECK(fixture.bind(1, Where::v4(0)).error == ENOSPC);
  fixture.join(2, 1);
  CHECK(fixture.bind(2, Where::v4(port_of(sockets[0].get()))).error == 0);
  CHECK(fixture.bind(2, Where::udp(0)).error == ENOSPC);
  // Closing one makes room.
  fixture.ready(1);
  fixture.close(1, std::move(sockets[5]));
  fixture.look(2'000);
  CHECK(fixture.bind(2, Where::udp(0)).error == 0);
}

TEST_CASE("app listeners: a privileged port needs to be allowed to a worker that is not root") {
  if (::geteuid() != 0) return;
  // Refused before the port is tried.
  Fixture::Rules rules;
  rules.identity = spawn::Identity{65534, 65534, {}};
  rules.privileged_ports = {1022};
  Fixture fixture(2, rules);
  fixture.join(1, 0);
  CHECK(fixture.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(fixture.bind(1, Where::udp(1021)).error == EACCES);
  CHECK(fixture.bind(1, Where::v4(1022)).error == 0);
  CHECK(fixture.bind(1, Where::v4(0)).error == 0);
}

TEST_CASE("app listeners: slots that are removed and added again") {
  Fixture fixture(3, {}, {{"http", "127.0.0.1:0"}});
  for (unsigned slot = 0; slot < 3; ++slot) fixture.join(slot + 1, slot);
  std::vector<UniqueFd> sockets;
  sockets.push_back(fixture.serve(1, Where::v4(0)));
  const auto where = Where::v4(port_of(sockets[0].get()));
  for (unsigned id : {2u, 3u}) sockets.push_back(fixture.serve(id, where));
  for (unsigned id : {1u, 2u, 3u}) fixture.ready(id);
  fixture.look();
  const auto lent = Where::v4(port_of(fixture.listeners().of_slot(0)[0]));
  fixture.drain(3);
  fixture.listeners().steer(2, {});
  fixture.listeners().shrink(2);
  fixture.look();
  for (int i = 0; i < 50; ++i) CHECK(connect_to(where));
  CHECK_FALSE(has_waiting(sockets[2].get()));
  // The worker lives, but the slot's socket is gone.
  fixture.listen(3, {0, false, UniqueFd::adopt(::dup(sockets[2].get()))});
  CHECK_FALSE(master::listens(sockets[2].get()));
  CHECK(fixture.ask(3, LIVESWAP_LISTEN, std::string(8, 'x')) == EBADF);
  CHECK(fixture.bind(3, lent).error != 0);
  fixture.leave(3);

  REQUIRE(fixture.listeners().grow(3).has_value());
  fixture.join(4, 2);
  const auto again = fixture.serve(4, where);
  fixture.ready(4);
  fixture.look();
  int count = 0;
  for (int i = 0; i < 200 && !has_waiting(again.get()); ++i, ++count) REQUIRE(connect_to(where));
  CHECK(has_waiting(again.get()));
}
