// When a worker's listeners make it ready, and which worker gets a connection that another one gave back.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "app_listeners_fixture.hpp"

using namespace liveswap;
using namespace liveswap::test;

namespace {

Fixture::Rules expecting() {
  Fixture::Rules rules;
  rules.expects_listener = true;
  rules.awaited = {rollout::Time{0}, rollout::Time{10'000}};
  return rules;
}

// Worker 1 of slot 0 serves `where`; its successor 2 has entered liveswap_main.
struct Successor {
  explicit Successor(const std::vector<Where>& where, const Fixture::Rules& rules = expecting(),
                     const std::vector<Listener>& lent = {})
      : fixture(1, rules, lent) {
    fixture.join(1, 0);
    for (const auto& one : where) held.push_back(fixture.serve(1, one));
    if (!lent.empty()) fixture.wait_on(1, fixture.listeners().of_slot(0)[0]);
    fixture.ready(1);
    fixture.look(0);
    fixture.judge(1);
    fixture.join(2, 0, 2);
    CHECK(fixture.app_listeners().entered(2, false));
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
    const auto outlook = fixture.judge(2);
    return outlook && outlook->ready;
  }

  Fixture fixture;
  std::vector<UniqueFd> held;
};

std::vector<const Fixture::Told*> adopted(const Fixture& fixture) {
  std::vector<const Fixture::Told*> found;
  for (const auto& one : fixture.told)
    if (one.kind == LIVESWAP_ADOPT) found.push_back(&one);
  return found;
}

// A connection that the draining worker 1 has given back.
UniqueFd give_back(Successor& pair, std::size_t number = 0) {
  auto client = connect_to(pair.at(number));
  auto connection = accept_from(pair.held[number].get());
  REQUIRE(connection);
  pair.fixture.tell(1, LIVESWAP_HANDOFF, cookie_text(pair.held[number].get()), std::move(connection));
  return client;
}

}  // namespace

TEST_CASE(
    "ready: when it waits on every listener of the worker before, and not when it has only bound them") {
  Successor pair({Where::v4(0), Where::v4(0)});
  const auto one = pair.fixture.serve(2, pair.at(0));
  CHECK_FALSE(pair.is_ready());
  const auto other = pair.fixture.bind(2, pair.at(1));
  REQUIRE(pair.fixture.listen(2, other) == 0);
  const auto outlook = pair.fixture.judge(2);
  REQUIRE(outlook.has_value());
  CHECK_FALSE(outlook->ready);
  CHECK(outlook->awaits.text.find("127.0.0.1:" + std::to_string(port_of(other.fd.get()))) !=
        std::string::npos);
  pair.fixture.wait_on(2, other.fd.get());
  CHECK(pair.is_ready());
}

TEST_CASE("ready: a listener that is never bound is dropped after its time, one that is bound is not") {
  for (const bool binds : {false, true}) {
    CAPTURE(binds);
    Successor pair({Where::v4(0), Where::v4(0)});
    const auto one = pair.fixture.serve(2, pair.at(0));
    Fixture::Held other;
    if (binds) other = pair.fixture.bind(2, pair.at(1));
    CHECK_FALSE(pair.is_ready());
    pair.fixture.look(11'000, false);
    CHECK(pair.is_ready() == !binds);
  }
}

TEST_CASE("ready: a listener that was closed is not served") {
  Successor pair({Where::v4(0), Where::v4(0)});
  const auto one = pair.fixture.serve(2, pair.at(0));
  pair.fixture.close(2, pair.fixture.serve(2, pair.at(1)));
  CHECK_FALSE(pair.is_ready());
}

TEST_CASE("ready: another address with the same port replaces a listener") {
  for (const std::uint32_t host : {INADDR_ANY, INADDR_LOOPBACK + 1}) {
    CAPTURE(host);
    Successor pair({Where::v4(0)});
    const auto there = Where::v4(port_of(pair.held[0].get()), host);
    const auto held = pair.fixture.bind(2, there);
    REQUIRE(held.error == 0);
    REQUIRE(pair.fixture.listen(2, held) == 0);
    CHECK_FALSE(pair.is_ready());
    pair.fixture.wait_on(2, held.fd.get());
    CHECK(pair.is_ready() == (host == INADDR_ANY));
  }
}

TEST_CASE("ready: a port that the kernel chose is the same one") {
  Successor pair({Where::v4(0)});
  const auto held = pair.fixture.serve(2, Where::v4(0));
  CHECK(port_of(held.get()) == port_of(pair.held[0].get()));
  CHECK(pair.is_ready());
}

TEST_CASE("ready: a lent listener that the previous worker waits on") {
  const auto path =
      std::filesystem::temp_directory_path() / ("liveswap-ready-" + std::to_string(::getpid()) + ".sock");
  Fixture::Rules rules = expecting();
  rules.expects_listener = false;
  Successor pair({}, rules, {{"web", "unix:" + path.string()}});
  CHECK_FALSE(pair.is_ready());
  pair.fixture.look(11'000, false);
  CHECK_FALSE(pair.is_ready());
  pair.fixture.wait_on(2, pair.fixture.listeners().of_slot(0)[0]);
  CHECK(pair.is_ready());
}

TEST_CASE(
    "ready: a worker that reports readiness is not judged, nor one that has not entered liveswap_main") {
  Successor pair({Where::v4(0)});
  pair.fixture.app_listeners().deferred(2, true);
  const auto held = pair.fixture.serve(2, pair.at(0));
  CHECK_FALSE(pair.fixture.judge(2).has_value());
  pair.fixture.join(3, 0, 3);
  const auto again = pair.fixture.serve(3, pair.at(0));
  CHECK_FALSE(pair.fixture.judge(3).has_value());
}

TEST_CASE("ready: without listeners before, or one that is expected, the settle time counts") {
  Fixture fixture;
  fixture.join(1, 0);
  CHECK_FALSE(fixture.app_listeners().entered(1, false));
  CHECK_FALSE(fixture.judge(1)->ready);
  Fixture other(1, expecting());
  other.join(1, 0);
  CHECK(other.app_listeners().entered(1, false));
  CHECK_FALSE(other.judge(1)->ready);
  const auto held = other.serve(1, Where::v4(0));
  CHECK(other.judge(1)->ready);
}

TEST_CASE("ready: a late bind of a ready worker, most often a client socket, stays its own") {
  Successor pair({Where::v4(0)});
  const auto bind = [&](rollout::WorkerId id, bool may_be_late) {
    const auto where = Where::v4(0);
    return pair.fixture.ask(id, LIVESWAP_BIND, where.text(), may_be_late, socket_for(where));
  };
  CHECK(bind(1, true) == LIVESWAP_TOO_LATE);
  CHECK(bind(1, false) == 0);
  CHECK(bind(2, true) == 0);
}

TEST_CASE(
    "given back: a connection waits for one that waits on its listener, and is not for one that has bound "
    "it") {
  Successor pair({Where::v4(0)});
  const auto held = pair.fixture.bind(2, pair.at(0));
  REQUIRE(pair.fixture.listen(2, held) == 0);
  pair.fixture.ready(2);
  pair.fixture.drain(1);
  pair.fixture.look(0, false);
  const auto client = give_back(pair);
  pair.fixture.look(1'000, false);
  CHECK(adopted(pair.fixture).empty());
  pair.fixture.wait_on(2, held.fd.get());
  pair.fixture.look(0, false);
  REQUIRE(adopted(pair.fixture).size() == 1);
  CHECK(adopted(pair.fixture)[0]->worker == 2);
  // Its waiting time so far counts.
  CHECK(adopted(pair.fixture)[0]->count >= 900);
}

TEST_CASE("given back: a serving worker gets its connection back after a pause, and not without end") {
  Successor pair({Where::v4(0)});
  const auto held = pair.fixture.serve(2, pair.at(0));
  pair.fixture.ready(2);
  pair.fixture.drain(1);
  pair.fixture.look(0, false);
  const auto client = give_back(pair);
  REQUIRE(adopted(pair.fixture).size() == 1);
  auto connection = UniqueFd::adopt(::dup(adopted(pair.fixture)[0]->descriptor.get()));
  pair.fixture.told.clear();
  CHECK(pair.fixture.ask(2, LIVESWAP_HANDOFF, cookie_text(held.get()), 5'000,
                         UniqueFd::adopt(::dup(connection.get()))) == 0);
  pair.fixture.look(0, false);
  CHECK(adopted(pair.fixture).empty());
  pair.fixture.look(300, false);
  REQUIRE(adopted(pair.fixture).size() == 1);
  CHECK(adopted(pair.fixture)[0]->worker == 2);
  CHECK(adopted(pair.fixture)[0]->count >= 5'000);
  pair.fixture.told.clear();
  CHECK(pair.fixture.ask(2, LIVESWAP_HANDOFF, cookie_text(held.get()), 10'000, std::move(connection)) == 0);
  pair.fixture.look(300, false);
  CHECK(adopted(pair.fixture).empty());
}

TEST_CASE("given back: to a worker that serves the address by another listener") {
  Successor pair({Where::v4(0)});
  const auto held = pair.fixture.serve(2, Where::v4(port_of(pair.held[0].get()), INADDR_ANY));
  pair.fixture.ready(2);
  pair.fixture.drain(1);
  pair.fixture.look(0, false);
  const auto client = give_back(pair);
  REQUIRE(adopted(pair.fixture).size() == 1);
  CHECK(adopted(pair.fixture)[0]->text == cookie_text(held.get()));
}

TEST_CASE(
    "a lent listener that a worker closes while it serves: it is told once, unless the worker comes back to "
    "it") {
  Fixture fixture(1, {}, {{"http", "127.0.0.1:0"}});
  fixture.join(1, 0);
  const int fd = fixture.listeners().of_slot(0)[0];
  const auto given_up = [&](int ms) { return fixture.app_listeners().given_up(rollout::Time{ms}).size(); };
  fixture.ready(1);
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));  // never waited on
  fixture.look();
  CHECK(given_up(9'000) == 0);

  fixture.wait_on(1, fd);
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  fixture.look();
  CHECK(given_up(1'499) == 0);
  fixture.wait_on(1, fd);
  CHECK(given_up(9'000) == 0);

  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  fixture.look();
  const auto found = fixture.app_listeners().given_up(rollout::Time{1'500});
  REQUIRE(found.size() == 1);
  CHECK(found[0].worker == 1);
  CHECK(found[0].listener == "http");
  CHECK(given_up(9'000) == 0);

  fixture.wait_on(1, fd);
  fixture.drain(1);
  fixture.look();
  fixture.tell(1, LIVESWAP_UNLISTEN, cookie_text(fd));
  fixture.look();
  CHECK(given_up(9'000) == 0);
}
