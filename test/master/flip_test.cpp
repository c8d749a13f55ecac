#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>

#include "flip_load.hpp"
#include "kept_listeners.hpp"
#include "master/sockets/accept_queue.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::test;
using master::Listeners;

namespace {

constexpr unsigned slots = 3;
using Clock = std::chrono::steady_clock;

Listeners open_all(const std::vector<Listener>& wanted, ListenMode mode) {
  auto opened = Listeners::open(wanted, mode, 256, slots);
  REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().text));
  return std::move(*opened);
}

// Waits for the condition; false: it did not come true within 10 s.
template <class Condition>
bool eventually(Condition condition) {
  const auto limit = Clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (Clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void stage(Listeners& listeners) {
  const auto staged = listeners.stage();
  REQUIRE_MESSAGE(staged.has_value(), (staged ? "" : staged.error().text));
}

void flip(Listeners& listeners) {
  const auto flipped = listeners.flip();
  REQUIRE_MESSAGE(flipped.has_value(), (flipped ? "" : flipped.error().text));
}

// Makes new connections and counts how many each socket gets. The connections stay in the queues.
std::map<int, std::size_t> deal(const std::string& address, const std::vector<int>& sockets, int connections,
                                std::list<UniqueFd>& clients) {
  std::map<int, std::size_t> before, dealt;
  for (int i = 0; i < connections; ++i) {
    clients.push_back(dial(address));
    REQUIRE(clients.back());
  }
  for (const int fd : sockets)
    if (const auto count = *master::accept_queue(fd)) dealt[fd] = count;
  return dealt;
}

std::vector<int> sockets_of(const Listeners& listeners, unsigned count, bool staged) {
  std::vector<int> found;
  for (unsigned slot = 0; slot < count; ++slot) found.push_back(listeners.of_slot(slot, staged)[0]);
  return found;
}

void kill_at_flip(ListenMode mode, bool is_flipped) {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  auto former = open_all({{"tcp", "127.0.0.1:0"}, {"unix", "unix:" + path}}, mode);
  stage(former);
  const auto state = kept_for_next(former.save(true));
  const std::vector<std::string> addresses{former.bound()[0].address, "unix:" + path};
  std::list<UniqueFd> clients;
  for (const auto& address : addresses) clients.push_back(dial(address));
  if (is_flipped) flip(former);
  former.leave_open();

  auto next = Listeners::adopt(state);
  next.adopt_others(state, {});
  auto old_workers = next.hold_of(0);
  const auto new_workers = next.hold(true);
  REQUIRE(next.staged());
  flip(next);
  CHECK(next.live() == 1);
  CHECK(next.waiting_in_old() > 2);
  const auto tcp = sockets_of(next, slots, false);
  CHECK(deal(addresses[0], tcp, 60, clients).size() == (mode == ListenMode::reuseport ? slots : 1));
  CHECK(deal(addresses[1], {next.of_slot(0)[1]}, 60, clients).at(next.of_slot(0)[1]) == 60);
  CHECK(eventually([&] { return next.waiting_in_old() == 2; }));
  CHECK(next.mend_files().empty());
  old_workers.reset();
  next.repair();
  CHECK(next.waiting_in_old() == 0);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
  CHECK(dial(addresses[1]));
  CHECK(next.depth()[0].waiting == 60);
  CHECK(next.depth()[1].waiting == 61);
}

// The directory of the second listener has gone, whose turn is between the others.
void fail_after_kill(ListenMode mode) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "gone");
  auto former = open_all({{"tcp", "127.0.0.1:0"},
                          {"lost", "unix:" + (dir / "gone/app.sock")},
                          {"unix", "unix:" + (dir / "app.sock")},
                          {"last", "127.0.0.1:0"}},
                         mode);
  stage(former);
  const auto state = kept_for_next(former.save(true));
  former.leave_open();
  std::filesystem::remove_all(dir / "gone");

  auto next = Listeners::adopt(state);
  next.adopt_others(state, {});
  const auto old_workers = next.hold();
  CHECK_FALSE(next.flip().has_value());
  next.steer_again();
  CHECK(next.live() == 0);
  CHECK(next.staged());
  const std::size_t sockets = mode == ListenMode::reuseport ? slots : 1;
  std::list<UniqueFd> clients;
  for (const std::size_t listener : {0U, 3U}) {
    CAPTURE(listener);
    std::vector<int> of_old;
    for (unsigned slot = 0; slot < slots; ++slot) of_old.push_back(next.of_slot(slot)[listener]);
    CHECK(deal(next.bound()[listener].address, of_old, 60, clients).size() == sockets);
  }
  const int old_unix = next.of_slot(0)[2];
  CHECK(deal("unix:" + (dir / "app.sock"), {old_unix}, 60, clients)[old_unix] == 60);
  next.unstage();
  CHECK_FALSE(std::filesystem::exists(dir / "app.sock.new"));
  CHECK(dial("unix:" + (dir / "app.sock")));
}

void flip_under_load(ListenMode mode) {
  const TempDir dir;
  auto listeners =
      open_all({{"v4", "127.0.0.1:0"}, {"v6", "[::1]:0"}, {"unix", "unix:" + (dir / "app.sock")}}, mode);
  std::list<Generation> generations;
  std::atomic<std::uint32_t> live = 0;
  generations.emplace_back(listeners, slots, 0, false);
  std::list<Caller> clients;
  for (const auto& bound : listeners.bound())
    for (int i = 0; i < 2; ++i) clients.emplace_back(bound.address, live);

  for (std::uint32_t number = 1; number <= 100; ++number) {
    stage(listeners);
    generations.emplace_back(listeners, slots, number, true);
    flip(listeners);
    live = number;
    REQUIRE(eventually([&] { return listeners.waiting_in_old() == 0; }));
    std::prev(generations.end(), 2)->stop();
    // Some generations keep their connections, and so their sockets, for some time.
    if (number % 5 != 0)
      while (generations.size() > 1) generations.pop_front();
    listeners.repair();
  }
  std::size_t total = 0;
  for (auto& client : clients) {
    CHECK(client.finish() == "");
    CHECK(client.answered() > 500);
    total += client.answered();
  }
  MESSAGE(total << " connections, all answered");
}

}  // namespace

TEST_CASE("100 flips under load lose no connection and never go back: a socket a slot") {
  flip_under_load(ListenMode::reuseport);
}

TEST_CASE("100 flips under load lose no connection and never go back: one socket for all slots") {
  flip_under_load(ListenMode::shared);
}

TEST_CASE("a staged set gets nothing before the flip, the former one nothing after it") {
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared}) {
    auto listeners = open_all({{"http", "127.0.0.1:0"}}, mode);
    const auto address = listeners.bound()[0].address;
    const auto old_hold = listeners.hold();
    const auto old_set = sockets_of(listeners, slots, false);
    stage(listeners);
    CHECK(listeners.staged());
    const auto new_set = sockets_of(listeners, slots, true);
    CHECK(old_set != new_set);
    std::list<UniqueFd> clients;
    CHECK(deal(address, new_set, 60, clients).empty());
    CHECK(listeners.depth()[0].waiting == 60);
    flip(listeners);
    CHECK_FALSE(listeners.staged());
    CHECK(sockets_of(listeners, slots, false) == new_set);
    CHECK(deal(address, new_set, 60, clients).size() == (mode == ListenMode::reuseport ? slots : 1));
    CHECK(listeners.depth()[0].waiting == 120);
    CHECK(eventually([&] { return listeners.waiting_in_old() == 60; }));
  }
}

TEST_CASE("a flip is completed by the next master if the former one is killed") {
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared})
    for (const bool is_flipped : {false, true}) {
      CAPTURE(is_flipped);
      kill_at_flip(mode, is_flipped);
    }
}

TEST_CASE("a flip that the next master cannot repeat leaves all listeners with the old workers") {
  for (const auto mode : {ListenMode::reuseport, ListenMode::shared}) {
    CAPTURE(static_cast<int>(mode));
    fail_after_kill(mode);
  }
}

TEST_CASE("a set that has not been wanted is used again, without what came to it") {
  auto listeners = open_all({{"http", "127.0.0.1:0"}}, ListenMode::reuseport);
  const auto first = sockets_of(listeners, slots, false);
  stage(listeners);
  const auto second = sockets_of(listeners, slots, true);
  listeners.unstage();
  stage(listeners);
  CHECK(sockets_of(listeners, slots, true) == second);
  std::list<UniqueFd> clients;
  deal(listeners.bound()[0].address, first, 20, clients);
  flip(listeners);
  // No hold keeps the first set: waiting clients get an error.
  stage(listeners);
  CHECK(sockets_of(listeners, slots, true) == first);
  char nothing = 0;
  for (const auto& client : clients) {
    CHECK(::recv(client.get(), &nothing, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
  }
  // A set with a hold is left alone.
  const auto hold = listeners.hold(true);
  listeners.unstage();
  stage(listeners);
  CHECK(sockets_of(listeners, slots, true) != first);
}

TEST_CASE("slots come and go, and are steered around, in a set that was flipped to") {
  auto listeners = open_all({{"http", "127.0.0.1:0"}}, ListenMode::reuseport);
  const auto address = listeners.bound()[0].address;
  const auto hold = listeners.hold();
  stage(listeners);
  REQUIRE(listeners.grow(4).has_value());
  flip(listeners);
  std::list<UniqueFd> clients;
  const auto four = sockets_of(listeners, 4, false);
  CHECK(deal(address, four, 200, clients).size() == 4);
  listeners.steer(4, {0, 2});
  for (const int fd : four) CHECK((listeners.waiting(0), *master::accept_queue(fd)) > 0);
  const auto before = std::pair(*master::accept_queue(four[0]), *master::accept_queue(four[2]));
  deal(address, four, 100, clients);
  CHECK(std::pair(*master::accept_queue(four[0]), *master::accept_queue(four[2])) == before);
  CHECK(listeners.waiting(0) == before.first);

  listeners.steer(2, {});
  const auto waiting = listeners.waiting(3);
  CHECK(waiting > 0);
  deal(address, four, 100, clients);
  CHECK(listeners.waiting(3) == waiting);
  listeners.shrink(2);
  listeners.steer(2, {});
  CHECK(listeners.waiting(3) == 0);
  REQUIRE(listeners.grow(5).has_value());
  listeners.steer(5, {});
  CHECK(deal(address, sockets_of(listeners, 5, false), 300, clients).size() == 5);
  CHECK(eventually([&] { return listeners.waiting_in_old() == 0; }));
}

TEST_CASE("a handshake that is under way at the flip is waited for") {
  auto listeners = open_all({{"http", "127.0.0.1:0"}}, ListenMode::shared);
  const auto hold = listeners.hold();
  // With this option the kernel completes a handshake only when the request's first byte arrives.
  const int seconds = 30;
  REQUIRE(::setsockopt(listeners.of_slot(0)[0], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds) ==
          0);
  const auto client = dial(listeners.bound()[0].address);
  const int old_socket = listeners.of_slot(0)[0];
  stage(listeners);
  flip(listeners);
  CHECK(*master::accept_queue(old_socket) == 0);
  CHECK(listeners.waiting_in_old() == 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(listeners.waiting_in_old() == 1);
  REQUIRE(::send(client.get(), "?", 1, 0) == 1);
  CHECK(eventually([&] { return *master::accept_queue(old_socket) == 1; }));
  CHECK(listeners.waiting_in_old() == 1);
  ::close(::accept(old_socket, nullptr, nullptr));
  CHECK(listeners.waiting_in_old() == 0);
}

TEST_CASE("the file of a Unix socket stays as its administrator made it, and is alone") {
  const TempDir dir;
  const auto path = dir / "app.sock";
  {
    auto listeners = open_all({{"http", "unix:" + path}}, ListenMode::reuseport);
    REQUIRE(::chmod(path.c_str(), 0666) == 0);
    if (::geteuid() == 0) REQUIRE(::chown(path.c_str(), 65534, 65533) == 0);
    const auto hold = listeners.hold();
    stage(listeners);
    flip(listeners);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0666);
    if (::geteuid() == 0) CHECK(info.st_uid == 65534);
    if (::geteuid() == 0) CHECK(info.st_gid == 65533);
    CHECK_FALSE(std::filesystem::exists(path + ".new"));
    const auto client = dial("unix:" + path);
    CHECK(listeners.depth()[0].waiting == 1);
    CHECK(listeners.waiting_in_old() == 1);  // the first moments
    CHECK(eventually([&] { return listeners.waiting_in_old() == 0; }));
    stage(listeners);
    CHECK(std::filesystem::exists(path + ".new"));
    listeners.repair();
    CHECK(std::filesystem::exists(path + ".new"));
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("a flip that fails at one listener leaves all as they were") {
  const TempDir dir;
  std::filesystem::create_directory(dir / "gone");
  auto listeners = open_all({{"tcp", "127.0.0.1:0"},
                             {"unix", "unix:" + (dir / "app.sock")},
                             {"lost", "unix:" + (dir / "gone/app.sock")}},
                            ListenMode::reuseport);
  const auto hold = listeners.hold();
  const auto before = sockets_of(listeners, slots, false);
  const int unix_before = listeners.of_slot(0)[1];
  stage(listeners);
  std::filesystem::remove_all(dir / "gone");
  const auto flipped = listeners.flip();
  REQUIRE_FALSE(flipped.has_value());
  CHECK(flipped.error().text.find("listener lost: cannot rename over " + (dir / "gone/app.sock") + " ") == 0);
  CHECK(listeners.staged());
  std::list<UniqueFd> clients;
  CHECK(deal(listeners.bound()[0].address, before, 60, clients).size() == slots);
  clients.push_back(dial(listeners.bound()[1].address));
  CHECK(*master::accept_queue(unix_before) == 1);
  CHECK(listeners.waiting_in_old() == 0);
}

TEST_CASE("a set that cannot be staged leaves no trace") {
  const TempDir dir;
  auto listeners =
      open_all({{"tcp", "127.0.0.1:0"}, {"unix", "unix:" + (dir / "app.sock")}}, ListenMode::shared);
  std::ofstream(dir / "app.sock.new") << "somebody's";
  const auto staged = listeners.stage();
  REQUIRE_FALSE(staged.has_value());
  CHECK(staged.error().text == "listener unix: cannot listen on " + (dir / "app.sock.new") +
                                   ": a file that is not a socket is there");
  CHECK_FALSE(listeners.staged());
  CHECK(std::filesystem::exists(dir / "app.sock.new"));
  CHECK_FALSE(listeners.flip().has_value());
  std::filesystem::remove(dir / "app.sock.new");
  CHECK(listeners.stage().has_value());
}

TEST_CASE("a socket that an application has shut down comes back with the right number") {
  auto listeners = open_all({{"http", "127.0.0.1:0"}}, ListenMode::reuseport);
  const auto hold = listeners.hold();
  stage(listeners);
  flip(listeners);
  REQUIRE(::shutdown(listeners.of_slot(1)[0], SHUT_RDWR) == 0);
  listeners.repair();
  std::list<UniqueFd> clients;
  const auto live = sockets_of(listeners, slots, false);
  CHECK(deal(listeners.bound()[0].address, live, 100, clients).size() == slots);
  CHECK(listeners.depth()[0].waiting == 100);
  listeners.steer(slots, {0});
  const auto before = *master::accept_queue(live[0]);
  deal(listeners.bound()[0].address, live, 100, clients);
  CHECK(*master::accept_queue(live[0]) == before);
  CHECK(eventually([&] { return listeners.waiting_in_old() == 0; }));
}
