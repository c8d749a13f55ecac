#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "config/address.hpp"
#include "kept_listeners.hpp"
#include "master/sockets/accept_queue.hpp"
#include "master/sockets/bind_address.hpp"
#include "master/sockets/listeners.hpp"
#include "master/sockets/sockets.hpp"
#include "test/support/temp_dir.hpp"

using namespace liveswap;
using namespace liveswap::master;
using liveswap::test::kept_for_next;
using liveswap::test::TempDir;

namespace {

using List = std::vector<Listener>;

constexpr unsigned slots = 2;

// Listeners, and one worker in each slot that serves by the lending in `serving`.
struct Changing {
  explicit Changing(std::vector<Listener> listen, ListenMode mode = ListenMode::reuseport)
      : listeners(*Listeners::open(listen, mode, 128, slots)) {
    serving.assign(slots, listeners.lending());
    steer();
  }

  Lending prepare(std::vector<Listener> listen, ListenMode mode = ListenMode::reuseport) {
    auto made = listeners.prepare({std::move(listen), mode, 128, {}});
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().text));
    return *made;
  }
  void steer() {
    std::vector<Listeners::Serving> all;
    for (unsigned slot = 0; slot < slots; ++slot)
      if (serving[slot]) all.push_back({slot, serving[slot]});
    listeners.steer(slots, {}, all);
  }
  void all_serve(const Lending& lending) {
    serving.assign(slots, lending);
    steer();
  }
  void end() {
    listeners.keep();
    steer();
    listeners.close_unheld([this](Endpoint& one) { closed.push_back(one.name()); });
  }
  int socket(const Lending& lending, std::size_t listener, unsigned slot = 0) const {
    return listeners.of_slot(lending, slot).at(listener);
  }
  std::string address(std::size_t listener = 0) const { return listeners.bound().at(listener).address; }

  Listeners listeners;
  std::vector<Lending> serving;
  std::vector<std::string> closed;
};

UniqueFd begin_connect(const SocketAddress& where) {
  auto fd = UniqueFd::adopt(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(fd.get(), where.get(), where.length) == 0 || errno == EINPROGRESS) return fd;
  return {};
}

enum class Came { in, waits, refused };

Came knock(const UniqueFd& fd, int limit_ms) {
  if (!fd) return Came::refused;
  pollfd watch{fd.get(), POLLOUT, 0};
  if (::poll(&watch, 1, limit_ms) == 0) return Came::waits;
  return socket_option(fd.get(), SOL_SOCKET, SO_ERROR) == 0 ? Came::in : Came::refused;
}

Came knock(const SocketAddress& where) { return knock(begin_connect(where), 100); }

int backlog_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  return static_cast<int>(info.tcpi_sacked);  // for a listening socket
}

}  // namespace

TEST_CASE("a new listener gets connections when a worker serves it, and those of the others stay") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  const auto former = app.listeners.lending();
  const int web = app.socket(former, 0);
  const auto next = app.prepare(List{{"api", "127.0.0.1:0"}, {"web", "127.0.0.1:0"}});
  CHECK(Listeners::names(next) == "api,web");
  CHECK(app.socket(next, 1) == web);
  app.listeners.take_up(next);
  app.steer();
  CHECK(app.listeners.names() == "api,web");
  const auto api = address_of(app.socket(next, 0, 1));
  const auto early = begin_connect(api);
  CHECK(knock(early, 100) == Came::waits);
  app.serving[1] = next;
  app.steer();
  CHECK(knock(early, 5'000) == Came::in);
  // Slot 0 has no worker with the listener yet.
  for (int i = 0; i < 20; ++i) CHECK(knock(api) == Came::in);
  CHECK(waiting_at(app.socket(next, 0, 0)) == 0);
  CHECK(waiting_at(app.socket(next, 0, 1)) == 21);
  app.all_serve(next);
  app.end();
  CHECK_FALSE(app.listeners.former() == former);
  CHECK(app.closed.empty());
}

TEST_CASE("a listener that goes: held, then abandoned, closed when nobody has it") {
  Changing app(List{{"web", "127.0.0.1:0"}, {"api", "127.0.0.1:0"}});
  auto former = app.listeners.lending();
  const auto api = address_of(app.socket(former, 1));
  CHECK(knock(api) == Came::in);
  auto next = app.prepare(List{{"web", "127.0.0.1:0"}});
  app.listeners.take_up(next);
  app.serving[0] = next;
  app.steer();
  CHECK(knock(api) == Came::in);
  // What has come is for the old workers alone; a handshake may end for 50 ms.
  app.serving[1] = nullptr;
  app.steer();
  app.listeners.begin_parting();
  CHECK(app.listeners.waiting_in_parting({1, former}, slots) >= 1);
  CHECK(app.listeners.waiting_in_parting({1, next}, slots) == 0);
  CHECK(knock(api) == Came::waits);
  CHECK(app.listeners.leaving().size() == 1);
  app.all_serve(next);
  app.end();
  CHECK(knock(api) == Came::refused);
  CHECK(app.closed.empty());
  CHECK(app.listeners.is_changing());
  // Somebody else may bind the address already.
  CHECK(listen_tcp(api, true, 1, "api").has_value());
  former.reset();
  app.end();
  CHECK(app.closed == std::vector<std::string>{"api"});
  CHECK_FALSE(app.listeners.is_changing());
}

TEST_CASE("taken back, every socket is what it was, with what waits in it") {
  Changing app(List{{"web", "127.0.0.1:0"}, {"api", "127.0.0.1:0"}});
  const auto former = app.listeners.lending();
  const auto before = app.listeners.of_slot(1);
  const auto api = address_of(before[1]);
  {
    const auto next = app.prepare(List{{"new", "127.0.0.2:0"}, {"web", "127.0.0.1:0"}}, ListenMode::shared);
    app.listeners.take_up(next);
    CHECK(knock(api) == Came::in);
    app.all_serve(next);
    const auto held = begin_connect(api);
    CHECK(knock(held, 100) == Came::waits);
    app.listeners.take_back();
    app.all_serve(former);
    CHECK(knock(held, 5'000) == Came::in);
    app.serving.assign(slots, former);
  }
  app.end();
  CHECK(app.listeners.lending() == former);
  CHECK(app.listeners.of_slot(1) == before);
  CHECK(app.listeners.names() == "web,api");
  CHECK(waiting_at(app.socket(former, 1, 0)) + waiting_at(app.socket(former, 1, 1)) == 2);
  CHECK(app.closed == std::vector<std::string>{"new"});
}

TEST_CASE("a bind that fails leaves nothing") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  const auto taken = listen_tcp(*resolve(*config::parse_address("127.0.0.1:0")), false, 1, "taken");
  const auto where = address_of(taken->get()).text();
  const auto refused = app.listeners.prepare(
      {List{{"a", "127.0.0.1:0"}, {"b", where}, {"web", "127.0.0.1:0"}}, ListenMode::shared, 128, {}});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().text.rfind("listener b: cannot bind " + where, 0) == 0);
  CHECK_FALSE(app.listeners.is_changing());
  CHECK(app.listeners.bound().size() == 1);
  // An address that a staying listener excludes is refused, too.
  CHECK_FALSE(
      app.listeners.prepare({List{{"web", app.address()}, {"b", app.address()}}, {}, 128, {}}).has_value());
}

TEST_CASE("a specific address gives way to the wildcard of the same port") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  const auto port = address_of(app.socket(app.listeners.lending(), 0)).port();
  const auto next = app.prepare(List{{"web", "0.0.0.0:" + std::to_string(port)}});
  app.listeners.take_up(next);
  app.all_serve(next);
  app.end();
  CHECK(app.address() == "0.0.0.0:" + std::to_string(port));
  CHECK(knock(*resolve(*config::parse_address("127.0.0.1:" + std::to_string(port)))) == Came::in);
}

TEST_CASE("the mode changes slot by slot, and back") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  auto former = app.listeners.lending();
  const auto where = address_of(app.socket(former, 0));
  auto shared = app.prepare(List{{"web", "127.0.0.1:0"}}, ListenMode::shared);
  app.listeners.take_up(shared);
  CHECK(app.socket(shared, 0, 1) == app.socket(former, 0, 0));
  app.all_serve(shared);
  for (int i = 0; i < 20; ++i) CHECK(knock(where) == Came::in);
  CHECK(waiting_at(app.socket(shared, 0)) == 20);
  former.reset();
  app.end();
  CHECK_FALSE(app.listeners.lent()[0]->per_slot());
  CHECK(app.listeners.lent()[0]->sockets(0).size() == 1);
  const auto again = app.prepare(List{{"web", "127.0.0.1:0"}}, ListenMode::reuseport);
  app.listeners.take_up(again);
  app.steer();
  for (int i = 0; i < 20; ++i) CHECK(knock(where) == Came::in);
  CHECK(waiting_at(app.socket(again, 0, 1)) == 0);
  app.all_serve(again);
  shared.reset();
  app.end();
  for (int i = 0; i < 60; ++i) CHECK(knock(where) == Came::in);
  CHECK(waiting_at(app.socket(again, 0, 1)) > 0);
}

TEST_CASE("the backlog changes in place") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  app.listeners.set_backlog(17);
  for (const int fd : app.listeners.lent()[0]->sockets(0)) CHECK(backlog_of(fd) == 17);
  app.listeners.repair();
  for (const int fd : app.listeners.lent()[0]->sockets(0)) CHECK(backlog_of(fd) == 17);
}

TEST_CASE("the file of a Unix socket is hidden while no worker serves it") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  Changing app(List{{"web", "127.0.0.1:0"}});
  auto former = app.listeners.lending();
  const auto exists = [&] { return ::access(path.c_str(), F_OK) == 0; };
  const auto next = app.prepare(List{{"web", "127.0.0.1:0"}, {"x", "unix:" + path}});
  app.listeners.take_up(next);
  app.steer();
  CHECK_FALSE(exists());
  app.all_serve(next);
  CHECK(exists());
  app.end();
  app.listeners.take_up(app.prepare(List{{"web", "127.0.0.1:0"}}));
  app.all_serve(app.listeners.lending());
  CHECK_FALSE(exists());
  CHECK(app.listeners.mend_files().empty());
  app.listeners.take_back();
  app.steer();
  CHECK(exists());
}

TEST_CASE("the next master goes on in the middle of a change, and can take it back") {
  Changing app(List{{"web", "127.0.0.1:0"}, {"old", "127.0.0.1:0"}});
  const auto former = app.listeners.lending();
  const auto web = address_of(app.socket(former, 0)), old = address_of(app.socket(former, 1));
  auto next = app.prepare(List{{"new", "127.0.0.2:0"}, {"web", "127.0.0.1:0"}}, ListenMode::shared);
  app.listeners.take_up(next);
  app.serving[0] = next;
  app.steer();
  const auto fresh = address_of(app.socket(next, 0));
  app.listeners.leave_open();
  const auto kept = kept_for_next(app.listeners.save());
  Listeners heir = Listeners::adopt(kept);
  auto lendings = heir.adopt_others(kept, nullptr);
  REQUIRE(lendings.size() == 2);
  CHECK(heir.is_changing());
  CHECK(Listeners::names(heir.lending()) == "new,web");
  CHECK(Listeners::names(heir.former()) == "web,old");
  CHECK(heir.leaving().size() == 1);
  CHECK(heir.leaving().at(0).name == "old");
  heir.take_back();
  CHECK(heir.names() == "web,old");
  CHECK(heir.leaving().at(0).name == "new");
  // Slot 0 has the new configuration still: its worker serves on.
  const auto serve = [&](const Lending& slot_0) {
    heir.steer(slots, {}, {{0, slot_0}, {1, heir.lending()}});
  };
  serve(lendings.at(0));
  for (const auto& where : {web, old, fresh}) CHECK(knock(where) == Came::in);
  serve(heir.lending());
  CHECK(knock(fresh) == Came::refused);
  CHECK(knock(old) == Came::in);
  lendings.clear();
  std::vector<std::string> closed;
  heir.close_unheld([&](Endpoint& one) { closed.push_back(one.name()); });
  CHECK(closed == std::vector<std::string>{"new"});
  CHECK_FALSE(heir.is_changing());
  CHECK(heir.leaving().empty());
}

TEST_CASE("the next master undoes what the former one has steered after its last state") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  const auto lending = app.listeners.lending();
  const auto web = address_of(app.socket(lending, 0));
  const auto kept = kept_for_next(app.listeners.save());
  app.listeners.steer(slots, {0});
  app.listeners.leave_open();
  Listeners heir = Listeners::adopt(kept);
  heir.adopt_others(kept, nullptr);
  heir.steer(slots, {});
  for (int i = 0; i < 64 && waiting_at(app.socket(lending, 0, 0)) == 0; ++i) CHECK(knock(web) == Came::in);
  CHECK(waiting_at(app.socket(lending, 0, 0)) > 0);
}

TEST_CASE("a rename keeps the sockets") {
  Changing app(List{{"web", "127.0.0.1:0"}});
  const auto before = app.listeners.of_slot(0);
  app.listeners.take_up(app.prepare(List{{"http", "127.0.0.1:0"}}));
  CHECK(app.listeners.of_slot(0) == before);
  CHECK(app.listeners.bound()[0].name == "http");
  app.listeners.take_back();
  CHECK(app.listeners.bound()[0].name == "web");
}

// liveswap-keeper has a copy of each descriptor until it gets the next state.
TEST_CASE("a Unix listener that has gone can be listened on again, although its lock has a copy") {
  const TempDir dir;
  const std::string path = dir / "app.sock";
  auto lock = lock_unix(path);
  REQUIRE(lock.has_value());
  const auto copy = UniqueFd::adopt(::fcntl(lock->get(), F_DUPFD_CLOEXEC, 0));
  CHECK(!lock_unix(path).has_value());
  unlock_unix(std::move(*lock));
  CHECK(lock_unix(path).has_value());
}
