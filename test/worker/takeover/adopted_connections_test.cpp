// Connections that the predecessor has handed off come out of accept() (takeover/adopted_connections.h),
// those for a listener that is just being bound too (takeover/early_connections.h); the rest goes back
// (takeover/give_back.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <vector>

extern "C" {
#include "worker/base/clock.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/early_connections.h"
#include "worker/takeover/give_back.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
  std::uint64_t cookie = cookie_of(fd.get());
  // A connection that the predecessor had accepted; the client's end stays here.
  void put(const Connection& connection, std::int64_t waited = 0) const {
    adopted_put(cookie, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), waited);
  }
  UniqueFd accept(int flags = SOCK_CLOEXEC) const {
    return UniqueFd::adopt(adopted_accept(fd.get(), nullptr, nullptr, flags));
  }
  // What has gone back to the master, by the listener's cookie.
  std::vector<std::uint64_t> given_back() const {
    std::vector<std::uint64_t> all;
    while (const auto frame = receive()) {
      if (frame->kind != LIVESWAP_HANDOFF) continue;
      REQUIRE(frame->fd);
      REQUIRE(frame->count > 0);
      std::uint64_t of = 0;
      std::memcpy(&of, frame->text.data(), sizeof of);
      all.push_back(of);
    }
    return all;
  }
};

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

bool is_same(const UniqueFd& one, const UniqueFd& other) {
  return cookie_of(one.get()) == cookie_of(other.get());
}

}  // namespace

TEST_CASE("adopted: none before any has come") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(!adopted_has_begun());
    REQUIRE(adopted_fd(worker.fd.get()) == -1);
    REQUIRE(!adopted_has_one(worker.fd.get()));
    errno = ENOTTY;
    REQUIRE(!worker.accept());
    REQUIRE(errno == ENOTTY);
    REQUIRE(adopted_step() == -1);
    adopted_listener(worker.held);  // nothing is to come
    REQUIRE(adopted_fd(worker.fd.get()) == -1);
    REQUIRE(is_blocking(worker.fd.get()));
  }));
}

TEST_CASE("adopted: prepared for, a listener has an eventfd beside it, wherever it is waited for") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll(), foreign = listen_inet();
    watch(epoll, worker.fd.get(), 42);
    adopted_begin();
    for (int i = 0; i < 2; ++i) adopted_listener(worker.held);
    const int bell = adopted_fd(worker.fd.get());
    REQUIRE(bell >= 0);
    REQUIRE(fd_flags(bell) == FLAG_HOST);
    REQUIRE(proc_self_descriptor_is(bell, "anon_inode:[eventfd]"));
    REQUIRE(adopted_fd(foreign.get()) == -1);
    REQUIRE(!is_blocking(worker.fd.get()));
    const Connection connection(worker.fd);
    REQUIRE(reported(epoll).empty());
    worker.put(connection);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{42});
    REQUIRE(adopted_is_waiting());
    REQUIRE(adopted_has_one(worker.fd.get()));
    REQUIRE(is_same(worker.accept(), connection.server));
    REQUIRE(reported(epoll).empty());
    REQUIRE(!adopted_is_waiting());
    REQUIRE(adopted_fd(worker.fd.get()) == bell);
  }));
}

TEST_CASE("adopted: the first connection to come prepares by itself") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll();
    watch(epoll, worker.fd.get(), 42);
    const Connection connection(worker.fd);
    worker.put(connection);
    REQUIRE(adopted_has_begun());
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{42});
    REQUIRE(is_same(worker.accept(), connection.server));
  }));
}

TEST_CASE("adopted: in the order in which they came, each at its own listener") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd other = listen_inet();
    hold(other);
    const Connection first(worker.fd), second(worker.fd), others(other);
    worker.put(first);
    adopted_put(cookie_of(other.get()), ::fcntl(others.server.get(), F_DUPFD_CLOEXEC, 200), 0);
    worker.put(second);
    REQUIRE(adopted_has_one(other.get()));
    REQUIRE(is_same(worker.accept(), first.server));
    REQUIRE(is_readable(adopted_fd(worker.fd.get())));
    REQUIRE(is_same(worker.accept(), second.server));
    REQUIRE(!is_readable(adopted_fd(worker.fd.get())));
    REQUIRE(!worker.accept());
    REQUIRE(adopted_is_waiting());
    REQUIRE(is_same(UniqueFd::adopt(adopted_accept(other.get(), nullptr, nullptr, -1)), others.server));
    REQUIRE(!adopted_is_waiting());
  }));
}

TEST_CASE("adopted: as accept() gives it, whatever the predecessor has set") {
  CHECK(in_child([] {
    const Worker worker;
    const int on = 1;
    REQUIRE(::setsockopt(worker.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    for (const int flags : {-1, 0, SOCK_NONBLOCK | 0, SOCK_CLOEXEC | 0, SOCK_NONBLOCK | SOCK_CLOEXEC}) {
      const Connection connection(worker.fd);
      const int fd = connection.server.get(), off = 0;
      REQUIRE(::setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on) == 0);
      REQUIRE(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off) == 0);
      if ((flags & SOCK_NONBLOCK) == 0) REQUIRE(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
      worker.put(connection);
      const UniqueFd accepted = worker.accept(flags);
      REQUIRE(accepted);
      REQUIRE(is_blocking(accepted.get()) == (flags < 0 || (flags & SOCK_NONBLOCK) == 0));
      const bool closes = (::fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC) != 0;
      REQUIRE(closes == (flags >= 0 && (flags & SOCK_CLOEXEC) != 0));
      REQUIRE(fd_flags(accepted.get()) == 0);
      int cork = 1, nodelay = 0;
      socklen_t size = sizeof cork;
      REQUIRE(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_CORK, &cork, &size) == 0);
      REQUIRE(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0);
      REQUIRE(cork == 0);
      REQUIRE(nodelay == 1);
    }
  }));
}

TEST_CASE("adopted: the client's address, as far as there is room for it") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection first(worker.fd), second(worker.fd);
    worker.put(first);
    worker.put(second);
    sockaddr_in address{}, client{};
    socklen_t size = sizeof address, client_size = sizeof client;
    REQUIRE(::getsockname(first.client.get(), reinterpret_cast<sockaddr*>(&client), &client_size) == 0);
    errno = ENOTTY;
    const UniqueFd one =
        UniqueFd::adopt(adopted_accept(worker.fd.get(), reinterpret_cast<sockaddr*>(&address), &size, 0));
    REQUIRE(one);
    REQUIRE(errno == ENOTTY);
    REQUIRE(size == sizeof address);
    REQUIRE(address.sin_port == client.sin_port);
    unsigned char little[sizeof address] = {};
    size = 2;
    const UniqueFd two =
        UniqueFd::adopt(adopted_accept(worker.fd.get(), reinterpret_cast<sockaddr*>(little), &size, 0));
    REQUIRE(two);
    REQUIRE(size == sizeof address);
    for (std::size_t i = 2; i < sizeof little; ++i) REQUIRE(little[i] == 0);
  }));
}

TEST_CASE("adopted: a client that has left meanwhile is passed over") {
  CHECK(in_child([] {
    const Worker worker;
    Connection left(worker.fd);
    const Connection stays(worker.fd);
    worker.put(left);
    worker.put(stays);
    const linger at_once{1, 0};
    REQUIRE(::setsockopt(left.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    left.client.reset();
    REQUIRE(is_same(worker.accept(), stays.server));
    REQUIRE(!worker.accept());
  }));
}

TEST_CASE("adopted: a descriptor that is none of the listener's gets nothing") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    const UniqueFd foreign = listen_inet(), copy = duplicate(worker.fd);
    worker.put(connection);
    for (const int fd : {foreign.get(), 0, -1}) {
      REQUIRE(adopted_accept(fd, nullptr, nullptr, 0) == -1);
      REQUIRE(!adopted_has_one(fd));
    }
    fd_flags_set(copy.get(), FLAG_HELD);
    REQUIRE(adopted_has_one(copy.get()));
    REQUIRE(adopted_fd(copy.get()) == adopted_fd(worker.fd.get()));
  }));
}

TEST_CASE("adopted: what the application registers later has the eventfd beside it as well") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll();
    adopted_begin();
    adopted_listener(worker.held);
    epoll_event event{EPOLLIN, {.u64 = 5}};
    adopted_mirror(epoll.get(), EPOLL_CTL_ADD, worker.fd.get(), &event);
    const Connection connection(worker.fd);
    worker.put(connection);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{5});
    event.data.u64 = 6;
    adopted_mirror(epoll.get(), EPOLL_CTL_MOD, worker.fd.get(), &event);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{6});
    adopted_mirror(epoll.get(), EPOLL_CTL_DEL, worker.fd.get(), nullptr);
    REQUIRE(reported(epoll).empty());
    errno = ENOTTY;
    adopted_mirror(epoll.get(), EPOLL_CTL_DEL, worker.fd.get(), nullptr);
    REQUIRE(errno == ENOTTY);
  }));
}

TEST_CASE("adopted: an application that is not seen to accept gets none for longer than 2 s") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection first(worker.fd), second(worker.fd);
    worker.put(first, 500);
    move_clock(1000);
    worker.put(second);
    REQUIRE(adopted_step() > clock_ms());
    REQUIRE(worker.given_back().empty());
    move_clock(1000);
    adopted_step();
    REQUIRE(worker.given_back() == std::vector{worker.cookie});
    REQUIRE(is_same(worker.accept(), second.server));
  }));
}

TEST_CASE("adopted: what goes back says for how long it has waited, and the log why, once") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection first(worker.fd), second(worker.fd);
    worker.put(first, 500);
    worker.put(second, 500);
    move_clock(2000);
    REQUIRE(adopted_step() == -1);
    int logged = 0, returned = 0;
    while (const auto frame = worker.receive()) {
      logged += frame->kind == LIVESWAP_LOG;
      if (frame->kind != LIVESWAP_HANDOFF) continue;
      ++returned;
      REQUIRE(frame->count >= 2500);
      REQUIRE(frame->count < 60'000);
    }
    REQUIRE(logged == 1);
    REQUIRE(returned == 2);
    REQUIRE(give_back_is_done());
  }));
}

TEST_CASE("adopted: an application that accepts may be busy for as long as it likes") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    adopted_note_accept();
    worker.put(connection);
    move_clock(1'000'000);
    REQUIRE(adopted_step() > 0);
    REQUIRE(worker.given_back().empty());
    REQUIRE(is_same(worker.accept(), connection.server));
  }));
}

TEST_CASE("adopted: when the worker is to drain itself all go back, those that come later too") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection first(worker.fd), second(worker.fd);
    worker.put(first);
    adopted_put(4711, ::fcntl(second.server.get(), F_DUPFD_CLOEXEC, 200), 0);
    adopted_stop();
    REQUIRE(worker.given_back() == std::vector<std::uint64_t>{4711, worker.cookie});
    worker.put(second);
    REQUIRE(worker.given_back() == std::vector{worker.cookie});
    REQUIRE(!worker.accept());
  }));
}

TEST_CASE(
    "adopted: a listener that the application has closed gives back its own, and its place is another's") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd other = listen_inet();
    const listener* const second = hold(other);
    const Connection first(worker.fd), others(other);
    worker.put(first);
    adopted_put(cookie_of(other.get()), ::fcntl(others.server.get(), F_DUPFD_CLOEXEC, 200), 0);
    const int bell = adopted_fd(worker.fd.get());
    adopted_forget(worker.held);
    REQUIRE(worker.given_back() == std::vector{worker.cookie});
    REQUIRE(adopted_has_one(other.get()));
    listeners_forget(worker.held);
    const UniqueFd next = listen_inet();
    const listener* const reused = hold(next);
    REQUIRE(reused == worker.held);
    adopted_listener(reused);
    REQUIRE(adopted_fd(next.get()) >= 0);
    REQUIRE(adopted_fd(next.get()) != bell);
    REQUIRE(second != reused);
  }));
}

TEST_CASE("early: what comes for a listener that is just being bound waits for it") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd bound = listen_inet();
    const Connection connection(bound);
    const std::uint64_t cookie = cookie_of(bound.get());
    const int fd = ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200);
    adopted_put(cookie, fd, 0);
    REQUIRE(fd_flags(fd) == FLAG_HOST);
    REQUIRE(!adopted_is_waiting());
    REQUIRE(adopted_step() > 0);
    hold(bound);
    REQUIRE(early_step(clock_ms()) == -1);
    REQUIRE(adopted_has_one(bound.get()));
    REQUIRE(is_same(UniqueFd::adopt(adopted_accept(bound.get(), nullptr, nullptr, 0)), connection.server));
    REQUIRE(worker.given_back().empty());
  }));
}

TEST_CASE("early: for a listener that does not come within 1 s it goes back") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    for (const std::uint64_t cookie : {4711U, 4712U}) {
      adopted_put(cookie, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), 0);
      move_clock(600);
      early_step(clock_ms());
    }
    REQUIRE(worker.given_back() == std::vector<std::uint64_t>{4711});
    move_clock(600);
    REQUIRE(early_step(clock_ms()) == -1);
    REQUIRE(worker.given_back() == std::vector<std::uint64_t>{4712});
  }));
}

TEST_CASE("early: there is room for some; what has none goes back at once") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    int kept = 0;
    while (worker.given_back().empty() && kept < 1000) {
      early_put(4711, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), 0);
      ++kept;
    }
    REQUIRE(kept > 100);
    REQUIRE(kept < 1000);
  }));
}

TEST_CASE("give back: what the master has no room for waits, and the control thread is woken for it") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    int filled = 0;
    while (channel_try_send({.kind = LIVESWAP_LOG}, std::string(1000, 'f').data(), 1000)) ++filled;
    const auto give = [&](std::uint64_t cookie) {
      give_back(cookie, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), clock_ms());
    };
    give(1);
    REQUIRE(!give_back_is_done());
    REQUIRE(is_readable(wake_fd()));
    REQUIRE(give_back_step() > 0);
    for (int i = 0; i < filled; ++i) REQUIRE(worker.receive().has_value());
    give(2);  // there is room, and it does not overtake the first
    REQUIRE(give_back_step() == -1);
    REQUIRE(give_back_is_done());
    REQUIRE(worker.given_back() == std::vector<std::uint64_t>{1, 2});
  }));
}

TEST_CASE("adopted: a liveness check's connection is told as taken when accept() has returned it") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    adopted_put_check(worker.cookie, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), -7);
    REQUIRE(!worker.receive());
    REQUIRE(is_same(worker.accept(), connection.server));
    auto told = worker.receive();
    while (told && told->kind == LIVESWAP_OPTION) told = worker.receive();
    REQUIRE(told->kind == LIVESWAP_TAKEN);
    REQUIRE(told->value == -7);
    REQUIRE(!worker.receive());
  }));
}

TEST_CASE("adopted: a liveness check is refused where accepts are unseen or the listener is unknown") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    const auto put = [&](std::uint64_t cookie, std::int32_t number) {
      adopted_put_check(cookie, ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200), number);
    };
    put(worker.cookie + 1'000'000, -3);
    auto told = worker.receive();
    REQUIRE(told->kind == LIVESWAP_REFUSED);
    REQUIRE(told->value == -3);
    REQUIRE(told->count == LIVESWAP_REFUSAL_NOT_HELD);
    put(worker.cookie, -4);
    REQUIRE(adopted_step() >= 0);
    REQUIRE(!worker.receive());
    move_clock(2'000);
    adopted_step();
    told = worker.receive();
    REQUIRE(told->kind == LIVESWAP_REFUSED);
    REQUIRE(told->value == -4);
    REQUIRE(!worker.receive());  // neither given back nor warned of
    REQUIRE(!adopted_is_waiting());
  }));
}

TEST_CASE("adopted: a drain closes the connections of liveness checks, and gives none of them back") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    for (const int number : {-1, -2}) {
      const int fd = ::fcntl(connection.server.get(), F_DUPFD_CLOEXEC, 200);
      adopted_put_check(worker.cookie, fd, number);
      adopted_stop();
      REQUIRE(::fcntl(fd, F_GETFD) < 0);
    }
    REQUIRE(!worker.receive());
  }));
}
