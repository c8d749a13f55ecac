// When a worker is ready by its listeners, and who is given a connection that an earlier worker has given
// back.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "takeover_desk.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

Desk::Rules expecting() {
  Desk::Rules rules;
  rules.expects_listener = true;
  rules.awaited = {rollout::Time{0}, rollout::Time{10'000}};
  return rules;
}

// Worker 1 of slot 0 serves `where`; 2 is its successor, and has been entered.
struct Successor {
  explicit Successor(const std::vector<Where>& where, const Desk::Rules& rules = expecting(),
                     const std::vector<Listener>& lent = {})
      : desk(1, rules, lent) {
    desk.join(1, 0);
    for (const auto& one : where) held.push_back(desk.serve(1, one));
    if (!lent.empty()) desk.wait_on(1, desk.listeners().of_slot(0)[0]);
    desk.ready(1);
    desk.look(0);
    desk.judge(1);
    desk.join(2, 0, 2);
    CHECK(desk.takeover().entered(2, false));
  }
  Where at(std::size_t number) const {
    Where where;
    const auto address = master::address_of(held[number].get());
    where.domain = address.storage.ss_family;
    where.storage = address.storage;
    where.size = address.length;
    return where;
  }
  bool is_ready() {
    const auto outlook = desk.judge(2);
    return outlook && outlook->ready;
  }

  Desk desk;
  std::vector<UniqueFd> held;
};

std::vector<const Desk::Told*> adopted(const Desk& desk) {
  std::vector<const Desk::Told*> found;
  for (const auto& one : desk.told)
    if (one.kind == LIVESWAP_ADOPT) found.push_back(&one);
  return found;
}

// A connection that worker 1, which drains, has given back.
UniqueFd give_back(Successor& pair, std::size_t number = 0) {
  auto client = connect_to(pair.at(number));
  auto connection = accept_from(pair.held[number].get());
  REQUIRE(connection);
  pair.desk.tell(1, LIVESWAP_HANDOFF, cookie_text(pair.held[number].get()), std::move(connection));
  return client;
}

}  // namespace

TEST_CASE(
    "ready: when it waits on every listener of the worker before, and not when it has only bound them") {
  Successor pair({Where::v4(0), Where::v4(0)});
  const auto one = pair.desk.serve(2, pair.at(0));
  CHECK_FALSE(pair.is_ready());
  const auto other = pair.desk.bind(2, pair.at(1));
  REQUIRE(pair.desk.listen(2, other) == 0);
  const auto outlook = pair.desk.judge(2);
  REQUIRE(outlook.has_value());
  CHECK_FALSE(outlook->ready);
  CHECK(outlook->awaits.text.find("127.0.0.1:" + std::to_string(port_of(other.fd.get()))) !=
        std::string::npos);
  pair.desk.wait_on(2, other.fd.get());
  CHECK(pair.is_ready());
}

TEST_CASE("ready: a listener that is never bound is dropped after its time, one that is bound is not") {
  for (const bool binds : {false, true}) {
    CAPTURE(binds);
    Successor pair({Where::v4(0), Where::v4(0)});
    const auto one = pair.desk.serve(2, pair.at(0));
    Desk::Held other;
    if (binds) other = pair.desk.bind(2, pair.at(1));
    CHECK_FALSE(pair.is_ready());
    pair.desk.look(11'000, false);
    CHECK(pair.is_ready() == !binds);
  }
}

TEST_CASE("ready: a listener that was closed is not served") {
  Successor pair({Where::v4(0), Where::v4(0)});
  const auto one = pair.desk.serve(2, pair.at(0));
  pair.desk.close(2, pair.desk.serve(2, pair.at(1)));
  CHECK_FALSE(pair.is_ready());
}

TEST_CASE("ready: another address of the same port takes the place of one") {
  for (const std::uint32_t host : {INADDR_ANY, INADDR_LOOPBACK + 1}) {
    CAPTURE(host);
    Successor pair({Where::v4(0)});
    const auto there = Where::v4(port_of(pair.held[0].get()), host);
    const auto held = pair.desk.bind(2, there);
    REQUIRE(held.error == 0);
    REQUIRE(pair.desk.listen(2, held) == 0);
    CHECK_FALSE(pair.is_ready());
    pair.desk.wait_on(2, held.fd.get());
    CHECK(pair.is_ready() == (host == INADDR_ANY));
  }
}

TEST_CASE("ready: a port that the kernel chose is the same one") {
  Successor pair({Where::v4(0)});
  const auto held = pair.desk.serve(2, Where::v4(0));
  CHECK(port_of(held.get()) == port_of(pair.held[0].get()));
  CHECK(pair.is_ready());
}

TEST_CASE("ready: a lent listener that the worker before waits on") {
  const auto path =
      std::filesystem::temp_directory_path() / ("liveswap-ready-" + std::to_string(::getpid()) + ".sock");
  Desk::Rules rules = expecting();
  rules.expects_listener = false;
  Successor pair({}, rules, {{"web", "unix:" + path.string()}});
  CHECK_FALSE(pair.is_ready());
  pair.desk.look(11'000, false);
  CHECK_FALSE(pair.is_ready());
  pair.desk.wait_on(2, pair.desk.listeners().of_slot(0)[0]);
  CHECK(pair.is_ready());
}

TEST_CASE("ready: who says it itself is not judged, and nobody before it is entered") {
  Successor pair({Where::v4(0)});
  pair.desk.takeover().deferred(2, true);
  const auto held = pair.desk.serve(2, pair.at(0));
  CHECK_FALSE(pair.desk.judge(2).has_value());
  pair.desk.join(3, 0, 3);
  const auto again = pair.desk.serve(3, pair.at(0));
  CHECK_FALSE(pair.desk.judge(3).has_value());
}

TEST_CASE("ready: without listeners before, or one that is expected, the settle time counts") {
  Desk desk;
  desk.join(1, 0);
  CHECK_FALSE(desk.takeover().entered(1, false));
  CHECK_FALSE(desk.judge(1)->ready);
  Desk other(1, expecting());
  other.join(1, 0);
  CHECK(other.takeover().entered(1, false));
  CHECK_FALSE(other.judge(1)->ready);
  const auto held = other.serve(1, Where::v4(0));
  CHECK(other.judge(1)->ready);
}

TEST_CASE("ready: what a worker that is ready binds late and is most often a client's stays its own") {
  Successor pair({Where::v4(0)});
  const auto bind = [&](rollout::WorkerId id, bool may_be_late) {
    const auto where = Where::v4(0);
    return pair.desk.ask(id, LIVESWAP_BIND, where.text(), may_be_late, socket_for(where));
  };
  CHECK(bind(1, true) == LIVESWAP_TOO_LATE);
  CHECK(bind(1, false) == 0);
  CHECK(bind(2, true) == 0);
}

TEST_CASE(
    "given back: a connection waits for one that waits on its listener, and is not for one that has bound "
    "it") {
  Successor pair({Where::v4(0)});
  const auto held = pair.desk.bind(2, pair.at(0));
  REQUIRE(pair.desk.listen(2, held) == 0);
  pair.desk.ready(2);
  pair.desk.drain(1);
  pair.desk.look(0, false);
  const auto client = give_back(pair);
  pair.desk.look(1'000, false);
  CHECK(adopted(pair.desk).empty());
  pair.desk.wait_on(2, held.fd.get());
  pair.desk.look(0, false);
  REQUIRE(adopted(pair.desk).size() == 1);
  CHECK(adopted(pair.desk)[0]->worker == 2);
  // What it has waited counts where it goes.
  CHECK(adopted(pair.desk)[0]->count >= 900);
}

TEST_CASE("given back: one that serves may have its connection back after a while, and not without end") {
  Successor pair({Where::v4(0)});
  const auto held = pair.desk.serve(2, pair.at(0));
  pair.desk.ready(2);
  pair.desk.drain(1);
  pair.desk.look(0, false);
  const auto client = give_back(pair);
  REQUIRE(adopted(pair.desk).size() == 1);
  auto connection = UniqueFd::adopt(::dup(adopted(pair.desk)[0]->descriptor.get()));
  pair.desk.told.clear();
  CHECK(pair.desk.ask(2, LIVESWAP_HANDOFF, cookie_text(held.get()), 5'000,
                      UniqueFd::adopt(::dup(connection.get()))) == 0);
  pair.desk.look(0, false);
  CHECK(adopted(pair.desk).empty());
  pair.desk.look(300, false);
  REQUIRE(adopted(pair.desk).size() == 1);
  CHECK(adopted(pair.desk)[0]->worker == 2);
  CHECK(adopted(pair.desk)[0]->count >= 5'000);
  pair.desk.told.clear();
  CHECK(pair.desk.ask(2, LIVESWAP_HANDOFF, cookie_text(held.get()), 10'000, std::move(connection)) == 0);
  pair.desk.look(300, false);
  CHECK(adopted(pair.desk).empty());
}

TEST_CASE("given back: to one that serves the same address by another listener") {
  Successor pair({Where::v4(0)});
  const auto held = pair.desk.serve(2, Where::v4(port_of(pair.held[0].get()), INADDR_ANY));
  pair.desk.ready(2);
  pair.desk.drain(1);
  pair.desk.look(0, false);
  const auto client = give_back(pair);
  REQUIRE(adopted(pair.desk).size() == 1);
  CHECK(adopted(pair.desk)[0]->text == cookie_text(held.get()));
}

TEST_CASE(
    "a lent listener that a worker closes while it serves: it is told once, unless the worker comes back to "
    "it") {
  Desk desk(1, {}, {{"http", "127.0.0.1:0"}});
  desk.join(1, 0);
  const int fd = desk.listeners().of_slot(0)[0];
  const auto given_up = [&](int ms) { return desk.takeover().given_up(rollout::Time{ms}).size(); };
  desk.ready(1);
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));  // never waited on
  desk.look();
  CHECK(given_up(9'000) == 0);

  desk.wait_on(1, fd);
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  desk.look();
  CHECK(given_up(1'499) == 0);
  desk.wait_on(1, fd);
  CHECK(given_up(9'000) == 0);

  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  desk.look();
  const auto found = desk.takeover().given_up(rollout::Time{1'500});
  REQUIRE(found.size() == 1);
  CHECK(found[0].worker == 1);
  CHECK(found[0].listener == "http");
  CHECK(given_up(9'000) == 0);

  desk.wait_on(1, fd);
  desk.drain(1);
  desk.look();
  desk.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  desk.look();
  CHECK(given_up(9'000) == 0);
}
