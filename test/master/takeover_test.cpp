// Who gets which socket for the address that it binds, and what is refused.
#include "master/app_listeners/app_listeners.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "takeover_desk.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

Desk::Rules in_mode(ListenMode mode) {
  Desk::Rules rules;
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

TEST_CASE("takeover: the kernel chooses port 0 once, for every slot and generation") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.serve(1, Where::v4(0));
  const auto second = desk.serve(2, Where::v4(0));
  CHECK(port_of(first.get()) != 0);
  CHECK(port_of(first.get()) == port_of(second.get()));
  CHECK(cookie(first.get()) != cookie(second.get()));

  desk.join(3, 0, 2);
  const auto later = desk.serve(3, Where::v4(0));
  CHECK(cookie(later.get()) == cookie(first.get()));
  CHECK(desk.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port_of(first.get()))});

  // By its number it is the same one.
  desk.join(4, 1, 2);
  CHECK(cookie(desk.serve(4, Where::v4(port_of(first.get()))).get()) == cookie(second.get()));
}

TEST_CASE("takeover: each further port 0 of a worker is another one, in the same order for all") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto a = desk.serve(1, Where::v4(0)), b = desk.serve(1, Where::v4(0));
  const auto c = desk.serve(2, Where::v4(0)), d = desk.serve(2, Where::v4(0));
  CHECK(port_of(a.get()) != port_of(b.get()));
  CHECK(port_of(a.get()) == port_of(c.get()));
  CHECK(port_of(b.get()) == port_of(d.get()));
  CHECK(desk.names().size() == 2);
}

TEST_CASE("takeover: every slot has a socket of its own, and connections come to all that serve") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.serve(1, Where::v4(0));
  const auto where = Where::v4(port_of(first.get()));
  const auto second = desk.serve(2, where);
  desk.ready(1);
  desk.ready(2);
  desk.look();
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

TEST_CASE("takeover: in shared mode all slots get one socket") {
  Desk desk(2, in_mode(ListenMode::shared), {}, ListenMode::shared);
  desk.join(1, 0);
  desk.join(2, 1);
  const auto first = desk.bind(1, Where::v4(0));
  CHECK_FALSE(first.given);
  const auto second = desk.bind(2, Where::v4(0));
  CHECK(second.given);
  CHECK(cookie(first.fd.get()) == cookie(second.fd.get()));
}

TEST_CASE("takeover: the application's own socket is kept, with its options") {
  Desk desk;
  desk.join(1, 0);
  auto own = socket_for(Where::v4(0));
  const int on = 1;
  REQUIRE(::setsockopt(own.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
  const auto name = cookie(own.get());
  REQUIRE(desk.ask(1, LIVESWAP_BIND, Where::v4(0).text(), 0, std::move(own)) == 0);
  desk.join(2, 0, 2);
  const auto later = desk.bind(2, Where::v4(0));
  CHECK(later.given);
  CHECK(cookie(later.fd.get()) == name);
  CHECK(option(later.fd.get(), SO_KEEPALIVE) == 1);
}

TEST_CASE("takeover: a backlog grows, and never shrinks") {
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.bind(1, Where::v4(0));
  REQUIRE(desk.listen(1, held, 100) == 0);
  REQUIRE(desk.listen(1, held, 1) == 0);
  for (int i = 0; i < 20; ++i) CHECK(connect_to(Where::v4(port_of(held.fd.get()))));
}

TEST_CASE("takeover: the address of a listener that was asked for is that listener") {
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared}) {
    Desk desk(2, in_mode(mode), {{"http", "127.0.0.1:0"}, {"six", "[::1]:0"}}, mode);
    desk.join(1, 1);
    const auto lent = desk.listeners().of_slot(1);
    // The kernel chooses anew for a port 0 of the application.
    CHECK_FALSE(desk.bind(1, Where::v4(0)).given);
    const auto four = desk.bind(1, Where::v4(port_of(lent[0])));
    CHECK(four.error == 0);
    CHECK(cookie(four.fd.get()) == cookie(lent[0]));
    CHECK(desk.listen(1, four) == 0);
    // Of one IPv6 address it does not matter what is said about IPv4.
    for (const bool only : {false, true}) {
      const auto six = desk.bind(1, Where::v6(port_of(lent[1]), "::1", only));
      CHECK(six.error == 0);
      CHECK(cookie(six.fd.get()) == cookie(lent[1]));
    }
    CHECK(desk.names().empty());
  }
}

TEST_CASE("takeover: both families, each for itself or one for both") {
  Desk desk;
  desk.join(1, 0);
  const auto dual = desk.serve(1, Where::v6(0, "::"));
  const auto port = port_of(dual.get());
  CHECK(connect_to(Where::v4(port)));
  CHECK(connect_to(Where::v6(port, "::1")));
  CHECK(desk.bind(1, Where::v4(port, INADDR_ANY)).error == EADDRINUSE);
  CHECK(desk.bind(1, Where::v6(port, "::", true)).error == EADDRINUSE);

  const auto six = desk.serve(1, Where::v6(0, "::", true));
  const auto four = desk.serve(1, Where::v4(port_of(six.get()), INADDR_ANY));
  CHECK(cookie(six.get()) != cookie(four.get()));
  CHECK(connect_to(Where::v4(port_of(six.get()))));
  CHECK(has_waiting(four.get()));
  CHECK_FALSE(has_waiting(six.get()));

  const auto mapped = desk.serve(1, Where::v6(0, "::ffff:127.0.0.1"));
  CHECK(connect_to(Where::v4(port_of(mapped.get()))));
  CHECK(has_waiting(mapped.get()));
}

TEST_CASE("takeover: an address that somebody else has is refused") {
  for (const bool reuses : {false, true}) {
    const auto stranger = socket_for(Where::v4(0));
    const int on = reuses;
    ::setsockopt(stranger.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const auto any = Where::v4(0);
    REQUIRE(::bind(stranger.get(), any.get(), any.size) == 0);
    REQUIRE(::listen(stranger.get(), 1) == 0);
    Desk desk;
    desk.join(1, 0);
    CHECK(desk.bind(1, Where::v4(port_of(stranger.get()))).error == EADDRINUSE);
    desk.look();
    CHECK(desk.takeover().idle());
  }
  const auto stranger = socket_for(Where::udp(0));
  const int on = 1;
  ::setsockopt(stranger.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const auto any = Where::udp(0);
  REQUIRE(::bind(stranger.get(), any.get(), any.size) == 0);
  Desk desk;
  desk.join(1, 0);
  CHECK(desk.bind(1, Where::udp(port_of(stranger.get()))).error == EADDRINUSE);
}

TEST_CASE("takeover: datagrams reach a socket that has been bound") {
  Desk desk;
  desk.join(1, 0);
  const auto held = desk.bind(1, Where::udp(0));
  REQUIRE(held.error == 0);
  CHECK(desk.listen(1, held) == EOPNOTSUPP);
  const auto where = Where::udp(port_of(held.fd.get()));
  const auto client = socket_for(where);
  CHECK(::sendto(client.get(), "x", 1, 0, where.get(), where.size) == 1);
  char byte = 0;
  CHECK(::recv(held.fd.get(), &byte, 1, 0) == 1);
  desk.join(2, 0, 2);
  CHECK(cookie(desk.bind(2, where).fd.get()) == cookie(held.fd.get()));
}

TEST_CASE("takeover: frames that make no sense are refused, and cost no descriptor") {
  Desk desk(2, {}, {{"http", "127.0.0.1:0"}});
  desk.join(1, 0);
  desk.look();
  const auto before = open_descriptors();
  const auto bind = [&](const std::string& text, UniqueFd fd, bool crippled = false) {
    return desk.ask(1, LIVESWAP_BIND, text, 0, std::move(fd), crippled);
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
    CHECK(desk.ask(1, LIVESWAP_LISTEN, text) == EBADF);
    CHECK(desk.ask(1, LIVESWAP_HANDOFF, text, 0, fresh()) == EBADF);
    desk.tell(1, LIVESWAP_UNLISTEN, text);
  }
  for (const std::string& path :
       {std::string(), std::string("relative"), std::string("/a\0b", 4), "/" + std::string(5000, 'x')})
    CHECK(desk.ask(1, LIVESWAP_UNLINK, path) == EINVAL);
  CHECK(desk.ask(1, LIVESWAP_UNLINK, "/proc/self/status") == ENOTSOCK);
  desk.told.clear();
  desk.look();
  CHECK(has_no_more_than(before));
  CHECK(desk.takeover().idle());
}

TEST_CASE("takeover: a worker names only sockets that it was given") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 1);
  const auto held = desk.bind(1, Where::v4(0));
  CHECK(desk.listen(2, held) == EBADF);
  CHECK(desk.listen(1, held) == 0);
}

TEST_CASE("takeover: so many addresses at once, and no more") {
  Desk desk;
  desk.join(1, 0);
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < LIVESWAP_LISTENERS_MAX; ++i) sockets.push_back(desk.serve(1, Where::v4(0)));
  CHECK(desk.bind(1, Where::v4(0)).error == ENOSPC);
  desk.join(2, 1);
  CHECK(desk.bind(2, Where::v4(port_of(sockets[0].get()))).error == 0);
  CHECK(desk.bind(2, Where::udp(0)).error == ENOSPC);
  // One that is given up makes room.
  desk.ready(1);
  desk.close(1, std::move(sockets[5]));
  desk.look(2'000);
  CHECK(desk.bind(2, Where::udp(0)).error == 0);
}

TEST_CASE("takeover: a privileged port needs to be allowed to a worker that is not root") {
  if (::geteuid() != 0) return;
  // Refused before it is looked whether it is free.
  Desk::Rules rules;
  rules.identity = master::Identity{65534, 65534, {}};
  rules.privileged_ports = {1022};
  Desk desk(2, rules);
  desk.join(1, 0);
  CHECK(desk.bind(1, Where::v4(1023)).error == EACCES);
  CHECK(desk.bind(1, Where::udp(1021)).error == EACCES);
  CHECK(desk.bind(1, Where::v4(1022)).error == 0);
  CHECK(desk.bind(1, Where::v4(0)).error == 0);
}

TEST_CASE("takeover: slots that are given up and come back") {
  Desk desk(3, {}, {{"http", "127.0.0.1:0"}});
  for (unsigned slot = 0; slot < 3; ++slot) desk.join(slot + 1, slot);
  std::vector<UniqueFd> sockets;
  sockets.push_back(desk.serve(1, Where::v4(0)));
  const auto where = Where::v4(port_of(sockets[0].get()));
  for (unsigned id : {2u, 3u}) sockets.push_back(desk.serve(id, where));
  for (unsigned id : {1u, 2u, 3u}) desk.ready(id);
  desk.look();
  const auto lent = Where::v4(port_of(desk.listeners().of_slot(0)[0]));
  desk.drain(3);
  desk.listeners().steer(2, {});
  desk.listeners().shrink(2);
  desk.look();
  for (int i = 0; i < 50; ++i) CHECK(connect_to(where));
  CHECK_FALSE(has_waiting(sockets[2].get()));
  // Its worker lives, and asks for what is no more there.
  desk.listen(3, {0, false, UniqueFd::adopt(::dup(sockets[2].get()))});
  CHECK_FALSE(master::listens(sockets[2].get()));
  CHECK(desk.ask(3, LIVESWAP_LISTEN, std::string(8, 'x')) == EBADF);
  CHECK(desk.bind(3, lent).error != 0);
  desk.leave(3);

  REQUIRE(desk.listeners().grow(3).has_value());
  desk.join(4, 2);
  const auto again = desk.serve(4, where);
  desk.ready(4);
  desk.look();
  int count = 0;
  for (int i = 0; i < 200 && !has_waiting(again.get()); ++i, ++count) REQUIRE(connect_to(where));
  CHECK(has_waiting(again.get()));
}
