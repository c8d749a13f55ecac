// Consequences of which workers use a listener: when it is dropped, which workers get new connections, and
// which get handed-off ones.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr int long_enough_ms = 10'000;

bool answers(const Where& where) { return static_cast<bool>(connect_to(where)); }

// Two slots, ready, at one address.
struct Pair {
  Fixture fixture;
  UniqueFd first, second;
  Where where;

  explicit Pair(Fixture::Rules rules = {}) : fixture(2, std::move(rules)) {
    fixture.join(1, 0);
    fixture.join(2, 1);
    first = fixture.serve(1, Where::v4(0));
    where = Where::v4(port_of(first.get()));
    second = fixture.serve(2, where);
    fixture.ready(1);
    fixture.ready(2);
    fixture.look();
  }
};

// Makes `count` connections; each must reach that socket.
void check_all_come_to(int socket, const Where& where, int count = 30) {
  CAPTURE(socket);
  for (int i = 0; i < count; ++i) {
    const auto client = connect_to(where);
    REQUIRE(client);
    CAPTURE(i);
    REQUIRE(accept_from(socket));
  }
}

std::vector<const Fixture::Told*> adopted(const Fixture& fixture) {
  std::vector<const Fixture::Told*> found;
  for (const auto& one : fixture.told)
    if (one.kind == LIVESWAP_ADOPT) found.push_back(&one);
  return found;
}

}  // namespace

TEST_CASE(
    "app listeners: a listener that the new code does not bind is dropped after the upgrade, not before") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  const auto own = fixture.serve(1, Where::v4(0));
  const auto gone = Where::v4(port_of(own.get()));
  fixture.look();
  // Both slots have new workers, and the upgrade goes on.
  fixture.join(3, 0, 2);
  const auto a = fixture.serve(3, pair.where);
  fixture.ready(3);
  fixture.drain(1);
  fixture.join(4, 1, 2);
  const auto b = fixture.serve(4, pair.where);
  fixture.ready(4);
  fixture.drain(2);
  fixture.look(long_enough_ms, false);
  CHECK(answers(gone));
  CHECK(fixture.names().size() == 2);
  // Committed: kept for a moment for late binders, then dropped, even if a draining worker has it.
  fixture.look(1'000);
  CHECK(answers(gone));
  fixture.look(2'000);
  CHECK_FALSE(answers(gone));
  CHECK(fixture.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port_of(a.get()))});
  CHECK(answers(pair.where));
}

TEST_CASE("app listeners: a failed upgrade leaves the listeners as they were") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  const auto names = fixture.names();
  // The new code binds another address, and does not bind one.
  fixture.join(3, 0, 2);
  auto more = fixture.serve(3, Where::v4(0, INADDR_LOOPBACK + 1));
  const auto added = Where::v4(port_of(more.get()), INADDR_LOOPBACK + 1);
  fixture.ready(3);
  fixture.drain(1);
  fixture.look(1'000, false);
  CHECK(answers(added));
  // Slot 0 gets no new connections now.
  check_all_come_to(pair.second.get(), pair.where);
  fixture.leave(3);
  more.reset();
  fixture.leave(1);
  fixture.join(5, 0, 1);
  const auto again = fixture.serve(5, pair.where);
  CHECK(cookie(again.get()) == cookie(pair.first.get()));
  fixture.ready(5);
  fixture.look(long_enough_ms);
  CHECK(fixture.names() == names);
  CHECK_FALSE(answers(added));
  fixture.listeners().steer(2, {1});
  check_all_come_to(again.get(), pair.where);
}

TEST_CASE("app listeners: a socket that is bound and closed without listen() leaves nothing") {
  Fixture fixture;
  fixture.join(1, 0);
  auto held = fixture.bind(1, Where::v4(0));
  const auto where = Where::v4(port_of(held.fd.get()));
  fixture.look(long_enough_ms);
  CHECK_FALSE(fixture.app_listeners().idle());
  held.fd.reset();
  fixture.leave(1);
  fixture.look(0, false);
  CHECK(fixture.app_listeners().idle());
  const auto again = socket_for(where);
  CHECK(::bind(again.get(), where.get(), where.size) == 0);
}

TEST_CASE("app listeners: the next worker gets the socket that a dead worker has bound") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  const auto waits = connect_to(pair.where);
  const bool at_first = has_waiting(pair.first.get());
  const unsigned slot = at_first ? 0 : 1;
  fixture.leave(slot + 1);
  fixture.look(long_enough_ms, false);
  fixture.join(3, slot);
  const auto again = fixture.serve(3, pair.where);
  fixture.ready(3);
  fixture.look(long_enough_ms);
  // The connections that waited for the dead worker are served.
  CHECK(has_waiting(again.get()));
  CHECK(cookie(again.get()) == cookie(at_first ? pair.first.get() : pair.second.get()));

  // One that dies between bind() and listen().
  fixture.join(4, 0, 2);
  { const auto never = fixture.bind(4, Where::v4(0)); }
  fixture.leave(4);
  fixture.look();
  CHECK(fixture.names().size() == 1);
}

TEST_CASE("app listeners: a listener that is closed and opened again at once is the same one") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  const auto name = cookie(pair.first.get());
  fixture.close(2, std::move(pair.second));
  fixture.close(1, std::move(pair.first));
  fixture.look(500);
  const auto again = fixture.serve(1, pair.where);
  CHECK(cookie(again.get()) == name);
  fixture.look(long_enough_ms);
  check_all_come_to(again.get(), pair.where);
  fixture.close(1, UniqueFd::adopt(::dup(again.get())));
  fixture.look(long_enough_ms);
  CHECK_FALSE(answers(pair.where));
  CHECK(fixture.app_listeners().idle());
}

TEST_CASE("app listeners: a draining worker gives nothing up") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.join(3, 0, 2);
  const auto successor = fixture.serve(3, pair.where);
  fixture.ready(3);
  fixture.drain(1);
  fixture.close(1, std::move(pair.first));
  fixture.look(long_enough_ms);
  CHECK(answers(pair.where));
  CHECK(fixture.names().size() == 1);
}

TEST_CASE("app listeners: connections that no worker accepts are reset after the upgrade") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  fixture.listeners().steer(2, {});
  fixture.close(1, std::move(pair.first));
  // Not before late binders have had their time.
  fixture.look(1'900);
  pollfd wait{client.get(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 0);
  fixture.look(200);
  CHECK(::poll(&wait, 1, 10'000) == 1);
  CHECK((wait.revents & (POLLHUP | POLLERR)) != 0);
  check_all_come_to(pair.second.get(), pair.where);
}

TEST_CASE("app listeners: staged workers get no connection before the flip, and all after it") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  REQUIRE(fixture.listeners().stage().has_value());
  fixture.join(3, 0, 2, true);
  fixture.join(4, 1, 2, true);
  const auto a = fixture.serve(3, pair.where), b = fixture.serve(4, pair.where);
  CHECK(cookie(a.get()) != cookie(pair.first.get()));
  const auto came_to = [&](int count) {
    std::vector<int> dealt(4);
    for (int i = 0; i < count; ++i) {
      const auto client = connect_to(pair.where);
      REQUIRE(client);
      pollfd wait[] = {{pair.first.get(), POLLIN, 0},
                       {pair.second.get(), POLLIN, 0},
                       {a.get(), POLLIN, 0},
                       {b.get(), POLLIN, 0}};
      REQUIRE(::poll(wait, 4, 10'000) == 1);
      for (int k = 0; k < 4; ++k)
        if (wait[k].revents) ++dealt[k], accept_from(wait[k].fd);
    }
    return dealt;
  };
  // Not even in the moment before the master looks.
  auto dealt = came_to(60);
  CHECK(dealt[2] + dealt[3] == 0);
  fixture.ready(3);
  fixture.ready(4);
  fixture.look(0, false);
  dealt = came_to(60);
  CHECK(dealt[2] + dealt[3] == 0);
  REQUIRE(fixture.listeners().flip().has_value());
  fixture.look(0, false);
  dealt = came_to(60);
  CHECK(dealt[0] + dealt[1] == 0);
  CHECK(dealt[2] > 0);
  CHECK(dealt[3] > 0);
}

TEST_CASE("handoff: a connection goes to the successor in its slot") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.join(3, 0, 2);
  fixture.join(4, 1, 2);
  const auto a = fixture.serve(3, pair.where), b = fixture.serve(4, pair.where);
  fixture.ready(3);
  fixture.ready(4);
  fixture.drain(1);
  fixture.drain(2);
  fixture.look();
  for (const rollout::WorkerId from : {1u, 2u}) {
    fixture.listeners().steer(2, {from == 1 ? 1u : 0u});
    const auto client = connect_to(pair.where);
    const auto& listener = from == 1 ? pair.first : pair.second;
    auto connection = accept_from(listener.get());
    REQUIRE(connection);
    const auto name = cookie(connection.get());
    fixture.told.clear();
    CHECK(fixture.ask(from, LIVESWAP_HANDOFF, cookie_text(listener.get()), 0, std::move(connection)) == 0);
    REQUIRE(adopted(fixture).size() == 1);
    const auto& told = *adopted(fixture)[0];
    CHECK(told.worker == from + 2);
    CHECK(told.text == cookie_text(from == 1 ? a.get() : b.get()));
    CHECK(cookie(told.descriptor.get()) == name);
  }
}

TEST_CASE("handoff: it waits for a successor or for room, but not for ever") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.drain(1);
  fixture.drain(2);
  fixture.look(0, false);
  const auto hand_off = [&] {
    fixture.listeners().steer(2, {1});
    auto client = connect_to(pair.where);
    auto connection = accept_from(pair.first.get());
    REQUIRE(connection);
    fixture.tell(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), std::move(connection));
    return client;
  };
  const auto ended = [](const UniqueFd& client) {
    pollfd wait{client.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  };
  const auto early = hand_off();
  fixture.look(0, false);
  CHECK(adopted(fixture).empty());
  fixture.has_room = false;
  fixture.join(3, 0, 2);
  const auto successor = fixture.serve(3, pair.where);
  fixture.ready(3);
  const auto late = hand_off();
  fixture.look(1'000, false);
  CHECK(adopted(fixture).empty());
  fixture.has_room = true;
  fixture.look(0, false);
  CHECK(adopted(fixture).size() == 2);
  CHECK_FALSE(ended(early));

  fixture.told.clear();
  fixture.has_room = false;
  const auto never = hand_off();
  fixture.look(11'000, false);
  fixture.has_room = true;
  fixture.look(0, false);
  CHECK(adopted(fixture).empty());
  CHECK(ended(never));
}

TEST_CASE("handoff: the number of waiting connections is bounded") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  const auto connection = accept_from(pair.first.get());
  fixture.drain(1);
  fixture.drain(2);
  fixture.look();
  int taken = 0, error = 0;
  bool full = false;
  for (; taken < 10'000 && error == 0; ++taken) {
    full = full || fixture.app_listeners().is_full(1);
    error = fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0,
                        UniqueFd::adopt(::dup(connection.get())));
    fixture.told.clear();
  }
  CHECK(error == ENOBUFS);
  CHECK(taken < 2'000);
  CHECK(full);
}

TEST_CASE("handoff: workers that do not read cannot fill the master with connections") {
  Fixture::Rules rules;
  rules.handed_off_limit = 8;
  Pair pair(rules);
  Fixture& fixture = pair.fixture;
  std::map<rollout::WorkerId, UniqueFd> connections;
  for (const rollout::WorkerId id : {1u, 2u}) {
    fixture.listeners().steer(2, {id == 1 ? 1u : 0u});
    const auto client = connect_to(pair.where);
    connections[id] = accept_from(id == 1 ? pair.first.get() : pair.second.get());
    REQUIRE(connections[id]);
  }
  const auto hand_off = [&](rollout::WorkerId id) {
    const auto& listener = id == 1 ? pair.first : pair.second;
    return fixture.ask(id, LIVESWAP_HANDOFF, cookie_text(listener.get()), 0,
                       UniqueFd::adopt(::dup(connections[id].get())));
  };
  // Each connection goes to the other worker at once, and waits there unread.
  for (int i = 0; i < 4; ++i) {
    CHECK(hand_off(1) == 0);
    CHECK(fixture.app_listeners().is_full(1) == (i >= 1));
  }
  CHECK(hand_off(1) == ENOBUFS);
  for (int i = 0; i < 4; ++i) CHECK(hand_off(2) == 0);
  CHECK(hand_off(2) == ENOBUFS);
  CHECK(adopted(fixture).size() == 8);
  fixture.told.clear();
  CHECK_FALSE(fixture.app_listeners().is_full(1));
  CHECK(hand_off(1) == 0);
}

TEST_CASE("handoff: only connections that came by that listener") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  const auto other = fixture.serve(1, Where::v4(0));
  fixture.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  const auto connection = accept_from(pair.first.get());
  REQUIRE(connection);
  const auto hand_off = [&](int fd, int listener) {
    return fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(listener), 0,
                       UniqueFd::adopt(fd < 0 ? -1 : ::dup(fd)));
  };
  CHECK(hand_off(connection.get(), other.get()) == EINVAL);
  CHECK(hand_off(client.get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(pair.first.get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(socket_for(pair.where).get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(socket_for(Where::udp(0)).get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(-1, pair.first.get()) == EBADF);
  CHECK(hand_off(connection.get(), pair.second.get()) == EBADF);  // another worker's
  CHECK(fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0, {}, true) == EMFILE);
  // None was handed off; connections that were only given back never count.
  CHECK(fixture.app_listeners().refused(1) == 8);
  CHECK(fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 20, {}, true) == EMFILE);
  CHECK(fixture.app_listeners().refused(1) == 8);
  CHECK(fixture.app_listeners().refused(2) == 0);
  // The same port at another address.
  const auto elsewhere = Where::v4(port_of(pair.first.get()), INADDR_LOOPBACK + 1);
  const auto stranger = socket_for(elsewhere);
  REQUIRE(::bind(stranger.get(), elsewhere.get(), elsewhere.size) == 0);
  REQUIRE(::listen(stranger.get(), 1) == 0);
  const auto its_client = connect_to(elsewhere);
  CHECK(hand_off(accept_from(stranger.get()).get(), pair.first.get()) == EINVAL);
  CHECK(adopted(fixture).empty());
  CHECK(hand_off(connection.get(), pair.first.get()) == 0);
}

TEST_CASE("handoff: by every listener of a dual stack or of both families, and of packets") {
  Fixture fixture;
  fixture.join(1, 0);
  fixture.join(2, 0, 2);
  const auto six = fixture.serve(1, Where::v6(0, "::")), one = fixture.serve(1, Where::v6(0, "::1"));
  const auto any = fixture.serve(1, Where::v4(0, INADDR_ANY)),
             name = fixture.serve(1, Where::abstract("liveswap-handoff"));
  const struct {
    const UniqueFd& listener;
    Where client;
  } ways[] = {{six, Where::v6(port_of(six.get()), "::1")},
              {six, Where::v4(port_of(six.get()))},
              {one, Where::v6(port_of(one.get()), "::1")},
              {any, Where::v4(port_of(any.get()), INADDR_LOOPBACK + 1)},
              {name, Where::abstract("liveswap-handoff")}};
  for (const auto& way : ways) {
    CAPTURE(&way - ways);
    const auto client = connect_to(way.client);
    REQUIRE(client);
    const auto text = cookie_text(way.listener.get());
    CHECK(fixture.ask(1, LIVESWAP_HANDOFF, text, 0, accept_from(way.listener.get())) == 0);
  }
  const auto client = connect_to(ways[0].client);
  CHECK(fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(one.get()), 0, accept_from(six.get())) == EINVAL);
}

TEST_CASE("handoff: a worker that does not listen there gets none") {
  Pair pair;
  Fixture& fixture = pair.fixture;
  fixture.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  auto connection = accept_from(pair.first.get());
  REQUIRE(connection);
  fixture.join(3, 0, 2);
  fixture.ready(3);
  fixture.drain(1);
  fixture.look();
  CHECK(fixture.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0, std::move(connection)) == 0);
  // Not to the successor, which has not bound the address, but to the slot that still serves it.
  REQUIRE(adopted(fixture).size() == 1);
  CHECK(adopted(fixture)[0]->worker == 2);
  CHECK(adopted(fixture)[0]->text == cookie_text(pair.second.get()));
}
