// What follows from who uses a listener: when it is dropped, who gets connections, and who is handed some.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "takeover_desk.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

constexpr int long_enough_ms = 10'000;

bool answers(const Where& where) { return static_cast<bool>(connect_to(where)); }

// Two slots, both at one address, ready.
struct Pair {
  Desk desk;
  UniqueFd first, second;
  Where where;

  explicit Pair(Desk::Rules rules = {}) : desk(2, std::move(rules)) {
    desk.join(1, 0);
    desk.join(2, 1);
    first = desk.serve(1, Where::v4(0));
    where = Where::v4(port_of(first.get()));
    second = desk.serve(2, where);
    desk.ready(1);
    desk.ready(2);
    desk.look();
  }
};

// So many connections, each of which has to come to that socket.
void check_all_come_to(int socket, const Where& where, int count = 30) {
  CAPTURE(socket);
  for (int i = 0; i < count; ++i) {
    const auto client = connect_to(where);
    REQUIRE(client);
    CAPTURE(i);
    REQUIRE(accept_from(socket));
  }
}

std::vector<const Desk::Told*> adopted(const Desk& desk) {
  std::vector<const Desk::Told*> found;
  for (const auto& one : desk.told)
    if (one.kind == LIVESWAP_ADOPT) found.push_back(&one);
  return found;
}

}  // namespace

TEST_CASE("takeover: what the new code does not bind is dropped after the upgrade, and not before") {
  Pair pair;
  Desk& desk = pair.desk;
  const auto own = desk.serve(1, Where::v4(0));
  const auto gone = Where::v4(port_of(own.get()));
  desk.look();
  // Both slots are switched, and the upgrade goes on.
  desk.join(3, 0, 2);
  const auto a = desk.serve(3, pair.where);
  desk.ready(3);
  desk.drain(1);
  desk.join(4, 1, 2);
  const auto b = desk.serve(4, pair.where);
  desk.ready(4);
  desk.drain(2);
  desk.look(long_enough_ms, false);
  CHECK(answers(gone));
  CHECK(desk.names().size() == 2);
  // Committed: for those who bind late it is kept for a moment, then it goes, also under a worker that still
  // drains.
  desk.look(1'000);
  CHECK(answers(gone));
  desk.look(2'000);
  CHECK_FALSE(answers(gone));
  CHECK(desk.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port_of(a.get()))});
  CHECK(answers(pair.where));
}

TEST_CASE("takeover: a failed upgrade leaves the listeners as they were") {
  Pair pair;
  Desk& desk = pair.desk;
  const auto names = desk.names();
  // The new code binds another address, and lacks one.
  desk.join(3, 0, 2);
  auto more = desk.serve(3, Where::v4(0, INADDR_LOOPBACK + 1));
  const auto added = Where::v4(port_of(more.get()), INADDR_LOOPBACK + 1);
  desk.ready(3);
  desk.drain(1);
  desk.look(1'000, false);
  CHECK(answers(added));
  // Slot 0 is not dealt anything now.
  check_all_come_to(pair.second.get(), pair.where);
  desk.leave(3);
  more.reset();
  desk.leave(1);
  desk.join(5, 0, 1);
  const auto again = desk.serve(5, pair.where);
  CHECK(cookie(again.get()) == cookie(pair.first.get()));
  desk.ready(5);
  desk.look(long_enough_ms);
  CHECK(desk.names() == names);
  CHECK_FALSE(answers(added));
  desk.listeners().steer(2, {1});
  check_all_come_to(again.get(), pair.where);
}

TEST_CASE("takeover: what is bound and given up unheard leaves nothing") {
  Desk desk;
  desk.join(1, 0);
  auto held = desk.bind(1, Where::v4(0));
  const auto where = Where::v4(port_of(held.fd.get()));
  desk.look(long_enough_ms);
  CHECK_FALSE(desk.takeover().idle());
  held.fd.reset();
  desk.leave(1);
  desk.look(0, false);
  CHECK(desk.takeover().idle());
  const auto again = socket_for(where);
  CHECK(::bind(again.get(), where.get(), where.size) == 0);
}

TEST_CASE("takeover: a socket that a dead worker has bound is the next one's") {
  Pair pair;
  Desk& desk = pair.desk;
  const auto waits = connect_to(pair.where);
  const bool at_first = has_waiting(pair.first.get());
  const unsigned slot = at_first ? 0 : 1;
  desk.leave(slot + 1);
  desk.look(long_enough_ms, false);
  desk.join(3, slot);
  const auto again = desk.serve(3, pair.where);
  desk.ready(3);
  desk.look(long_enough_ms);
  // What waited for the one that died is served.
  CHECK(has_waiting(again.get()));
  CHECK(cookie(again.get()) == cookie(at_first ? pair.first.get() : pair.second.get()));

  // One that dies between bind() and listen().
  desk.join(4, 0, 2);
  { const auto never = desk.bind(4, Where::v4(0)); }
  desk.leave(4);
  desk.look();
  CHECK(desk.names().size() == 1);
}

TEST_CASE("takeover: a listener that is closed and opened again at once is the same one") {
  Pair pair;
  Desk& desk = pair.desk;
  const auto name = cookie(pair.first.get());
  desk.close(2, std::move(pair.second));
  desk.close(1, std::move(pair.first));
  desk.look(500);
  const auto again = desk.serve(1, pair.where);
  CHECK(cookie(again.get()) == name);
  desk.look(long_enough_ms);
  check_all_come_to(again.get(), pair.where);
  desk.close(1, UniqueFd::adopt(::dup(again.get())));
  desk.look(long_enough_ms);
  CHECK_FALSE(answers(pair.where));
  CHECK(desk.takeover().idle());
}

TEST_CASE("takeover: who drains gives nothing up") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.join(3, 0, 2);
  const auto successor = desk.serve(3, pair.where);
  desk.ready(3);
  desk.drain(1);
  desk.close(1, std::move(pair.first));
  desk.look(long_enough_ms);
  CHECK(answers(pair.where));
  CHECK(desk.names().size() == 1);
}

TEST_CASE("takeover: connections that nobody fetches any more are reset after the upgrade") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  desk.listeners().steer(2, {});
  desk.close(1, std::move(pair.first));
  // Not before those who bind late have had their time.
  desk.look(1'900);
  pollfd wait{client.get(), POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 0);
  desk.look(200);
  CHECK(::poll(&wait, 1, 10'000) == 1);
  CHECK((wait.revents & (POLLHUP | POLLERR)) != 0);
  check_all_come_to(pair.second.get(), pair.where);
}

TEST_CASE("takeover: staged workers get no connection before the flip, and all after it") {
  Pair pair;
  Desk& desk = pair.desk;
  REQUIRE(desk.listeners().stage().has_value());
  desk.join(3, 0, 2, true);
  desk.join(4, 1, 2, true);
  const auto a = desk.serve(3, pair.where), b = desk.serve(4, pair.where);
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
  desk.ready(3);
  desk.ready(4);
  desk.look(0, false);
  dealt = came_to(60);
  CHECK(dealt[2] + dealt[3] == 0);
  REQUIRE(desk.listeners().flip().has_value());
  desk.look(0, false);
  dealt = came_to(60);
  CHECK(dealt[0] + dealt[1] == 0);
  CHECK(dealt[2] > 0);
  CHECK(dealt[3] > 0);
}

TEST_CASE("handoff: a connection goes to the successor in its slot") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.join(3, 0, 2);
  desk.join(4, 1, 2);
  const auto a = desk.serve(3, pair.where), b = desk.serve(4, pair.where);
  desk.ready(3);
  desk.ready(4);
  desk.drain(1);
  desk.drain(2);
  desk.look();
  for (const rollout::WorkerId from : {1u, 2u}) {
    desk.listeners().steer(2, {from == 1 ? 1u : 0u});
    const auto client = connect_to(pair.where);
    const auto& listener = from == 1 ? pair.first : pair.second;
    auto connection = accept_from(listener.get());
    REQUIRE(connection);
    const auto name = cookie(connection.get());
    desk.told.clear();
    CHECK(desk.ask(from, LIVESWAP_HANDOFF, cookie_text(listener.get()), 0, std::move(connection)) == 0);
    REQUIRE(adopted(desk).size() == 1);
    const auto& told = *adopted(desk)[0];
    CHECK(told.worker == from + 2);
    CHECK(told.text == cookie_text(from == 1 ? a.get() : b.get()));
    CHECK(cookie(told.descriptor.get()) == name);
  }
}

TEST_CASE("handoff: it waits for a successor, or for room, and not for ever") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.drain(1);
  desk.drain(2);
  desk.look(0, false);
  const auto hand_off = [&] {
    desk.listeners().steer(2, {1});
    auto client = connect_to(pair.where);
    auto connection = accept_from(pair.first.get());
    REQUIRE(connection);
    desk.tell(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), std::move(connection));
    return client;
  };
  const auto ended = [](const UniqueFd& client) {
    pollfd wait{client.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  };
  const auto early = hand_off();
  desk.look(0, false);
  CHECK(adopted(desk).empty());
  desk.has_room = false;
  desk.join(3, 0, 2);
  const auto successor = desk.serve(3, pair.where);
  desk.ready(3);
  const auto late = hand_off();
  desk.look(1'000, false);
  CHECK(adopted(desk).empty());
  desk.has_room = true;
  desk.look(0, false);
  CHECK(adopted(desk).size() == 2);
  CHECK_FALSE(ended(early));

  desk.told.clear();
  desk.has_room = false;
  const auto never = hand_off();
  desk.look(11'000, false);
  desk.has_room = true;
  desk.look(0, false);
  CHECK(adopted(desk).empty());
  CHECK(ended(never));
}

TEST_CASE("handoff: so many wait, and no more") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  const auto connection = accept_from(pair.first.get());
  desk.drain(1);
  desk.drain(2);
  desk.look();
  int taken = 0, error = 0;
  bool full = false;
  for (; taken < 10'000 && error == 0; ++taken) {
    full = full || desk.takeover().is_full(1);
    error = desk.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0,
                     UniqueFd::adopt(::dup(connection.get())));
    desk.told.clear();
  }
  CHECK(error == ENOBUFS);
  CHECK(taken < 2'000);
  CHECK(full);
}

TEST_CASE("handoff: nobody fills the master with what those who read nothing are to get") {
  Desk::Rules rules;
  rules.handed_off_limit = 8;
  Pair pair(rules);
  Desk& desk = pair.desk;
  std::map<rollout::WorkerId, UniqueFd> connections;
  for (const rollout::WorkerId id : {1u, 2u}) {
    desk.listeners().steer(2, {id == 1 ? 1u : 0u});
    const auto client = connect_to(pair.where);
    connections[id] = accept_from(id == 1 ? pair.first.get() : pair.second.get());
    REQUIRE(connections[id]);
  }
  const auto hand_off = [&](rollout::WorkerId id) {
    const auto& listener = id == 1 ? pair.first : pair.second;
    return desk.ask(id, LIVESWAP_HANDOFF, cookie_text(listener.get()), 0,
                    UniqueFd::adopt(::dup(connections[id].get())));
  };
  // Each goes to the other at once, and waits there unread.
  for (int i = 0; i < 4; ++i) {
    CHECK(hand_off(1) == 0);
    CHECK(desk.takeover().is_full(1) == (i >= 1));
  }
  CHECK(hand_off(1) == ENOBUFS);
  for (int i = 0; i < 4; ++i) CHECK(hand_off(2) == 0);
  CHECK(hand_off(2) == ENOBUFS);
  CHECK(adopted(desk).size() == 8);
  desk.told.clear();
  CHECK_FALSE(desk.takeover().is_full(1));
  CHECK(hand_off(1) == 0);
}

TEST_CASE("handoff: only connections that came in by that listener") {
  Pair pair;
  Desk& desk = pair.desk;
  const auto other = desk.serve(1, Where::v4(0));
  desk.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  const auto connection = accept_from(pair.first.get());
  REQUIRE(connection);
  const auto hand_off = [&](int fd, int listener) {
    return desk.ask(1, LIVESWAP_HANDOFF, cookie_text(listener), 0, UniqueFd::adopt(fd < 0 ? -1 : ::dup(fd)));
  };
  CHECK(hand_off(connection.get(), other.get()) == EINVAL);
  CHECK(hand_off(client.get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(pair.first.get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(socket_for(pair.where).get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(socket_for(Where::udp(0)).get(), pair.first.get()) == EINVAL);
  CHECK(hand_off(-1, pair.first.get()) == EBADF);
  CHECK(hand_off(connection.get(), pair.second.get()) == EBADF);  // another worker's
  CHECK(desk.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0, {}, true) == EMFILE);
  // None of them was moved; what was only given back never counted as that.
  CHECK(desk.takeover().refused(1) == 8);
  CHECK(desk.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 20, {}, true) == EMFILE);
  CHECK(desk.takeover().refused(1) == 8);
  CHECK(desk.takeover().refused(2) == 0);
  // The same port at another address.
  const auto elsewhere = Where::v4(port_of(pair.first.get()), INADDR_LOOPBACK + 1);
  const auto stranger = socket_for(elsewhere);
  REQUIRE(::bind(stranger.get(), elsewhere.get(), elsewhere.size) == 0);
  REQUIRE(::listen(stranger.get(), 1) == 0);
  const auto its_client = connect_to(elsewhere);
  CHECK(hand_off(accept_from(stranger.get()).get(), pair.first.get()) == EINVAL);
  CHECK(adopted(desk).empty());
  CHECK(hand_off(connection.get(), pair.first.get()) == 0);
}

TEST_CASE("handoff: by every listener of a dual stack or of both families, and of packets") {
  Desk desk;
  desk.join(1, 0);
  desk.join(2, 0, 2);
  const auto six = desk.serve(1, Where::v6(0, "::")), one = desk.serve(1, Where::v6(0, "::1"));
  const auto any = desk.serve(1, Where::v4(0, INADDR_ANY)),
             name = desk.serve(1, Where::abstract("liveswap-handoff"));
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
    CHECK(desk.ask(1, LIVESWAP_HANDOFF, text, 0, accept_from(way.listener.get())) == 0);
  }
  const auto client = connect_to(ways[0].client);
  CHECK(desk.ask(1, LIVESWAP_HANDOFF, cookie_text(one.get()), 0, accept_from(six.get())) == EINVAL);
}

TEST_CASE("handoff: nobody who does not listen there gets one") {
  Pair pair;
  Desk& desk = pair.desk;
  desk.listeners().steer(2, {1});
  const auto client = connect_to(pair.where);
  auto connection = accept_from(pair.first.get());
  REQUIRE(connection);
  desk.join(3, 0, 2);
  desk.ready(3);
  desk.drain(1);
  desk.look();
  CHECK(desk.ask(1, LIVESWAP_HANDOFF, cookie_text(pair.first.get()), 0, std::move(connection)) == 0);
  // Not to the successor, which has not bound it, but to the one slot that still serves there.
  REQUIRE(adopted(desk).size() == 1);
  CHECK(adopted(desk)[0]->worker == 2);
  CHECK(adopted(desk)[0]->text == cookie_text(pair.second.get()));
}
