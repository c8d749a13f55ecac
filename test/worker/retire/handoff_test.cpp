// An idle connection is replaced under the application's descriptor (retire/idle_connections.h), and what
// happens next decides whose it is (retire/handoff_relay.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/time.h>

#include <cstring>
#include <string>

extern "C" {
#include "worker/api/holds.h"
#include "worker/retire/handoff_relay.h"
#include "worker/retire/idle_connections.h"
#include "worker/retire/linger.h"
#include "worker/takeover/tcp_state.h"
#include "worker/takeover/traffic.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

enum { GRACE_MS = 60'000 };

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

std::string hear(const UniqueFd& fd) {
  char bytes[4096];
  const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : "";
}

bool is_at_end(const UniqueFd& fd) {
  char byte;
  return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

void say(const UniqueFd& fd, const std::string& text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

// A worker with an idle connection, which its application has accepted and answered.
struct Worker : UnitWorker {
  Worker() {
    set_clock_back();  // how often threads are looked at depends on it
    REQUIRE(holds_setup());
    REQUIRE(linger_setup());
    REQUIRE(idle_connections_begin(GRACE_MS));
    // So that what was said by the two lies in different ticks of the kernel's clock.
    say(connection.client, "ask");
    REQUIRE(hear(connection.server) == "ask");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    say(connection.server, "answer");
    REQUIRE(eventually([this] { return hear(connection.client) == "answer"; }));
  }
  bool consider(const UniqueFd& fd) const {
    struct connection now {};
    return tcp_state_look(fd.get(), &now) && idle_connections_consider(fd.get(), &now, held);
  }
  // The connection is replaced, as soon as it has been quiet for long enough.
  void replace() const {
    REQUIRE(eventually([this] { return consider(connection.server); }));
    idle_connections_step();
    REQUIRE(is_replaced());
  }
  bool is_replaced() const {
    struct connection unused {};
    return !tcp_state_look(connection.server.get(), &unused);
  }
  // As the control thread does, until that has happened.
  template <typename Condition>
  static bool serve_until(Condition condition) {
    return eventually([&] {
      if (is_readable(handoff_fd())) handoff_serve();
      handoff_step();
      return condition();
    });
  }
  // The connection that has gone to the master.
  std::optional<Received> handed_off() const {
    while (auto frame = receive())
      if (frame->kind == LIVESWAP_HANDOFF) return frame;
    return std::nullopt;
  }
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
  Connection connection{fd};
};

}  // namespace

TEST_CASE(
    "handoff: a client that asks again is the successor's, with its bytes unread, and the application reads "
    "the end") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    REQUIRE(!handoff_is_busy());
    say(worker.connection.client, "GET / HTTP/1.1\r\n\r\n");
    std::optional<Received> taken;
    REQUIRE(Worker::serve_until([&] { return (taken = worker.handed_off()).has_value(); }));
    REQUIRE(taken->count == 0);
    std::uint64_t cookie = 0;
    std::memcpy(&cookie, taken->text.data(), sizeof cookie);
    REQUIRE(cookie == cookie_of(worker.fd.get()));
    REQUIRE(hear(taken->fd) == "GET / HTTP/1.1\r\n\r\n");
    REQUIRE(is_at_end(worker.connection.server));
    say(taken->fd, "of the successor");
    REQUIRE(eventually([&] { return hear(worker.connection.client) == "of the successor"; }));
  }));
}

TEST_CASE("handoff: an application that speaks after all owed an answer, which the client gets") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    say(worker.connection.server, "late answer");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.client) == "late answer"; }));
    // It may have more to say: the grace alone does not end that.
    move_clock(2 * GRACE_MS);
    handoff_look();
    REQUIRE(!worker.handed_off().has_value());
    say(worker.connection.client, "next");
    REQUIRE(Worker::serve_until([&] { return worker.handed_off().has_value(); }));
  }));
}

TEST_CASE("handoff: a connection that rests for the grace is the successor's") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    handoff_look();
    move_clock(GRACE_MS / 2);
    handoff_look();
    REQUIRE(!worker.handed_off().has_value());
    move_clock(GRACE_MS);
    handoff_look();
    REQUIRE(worker.handed_off().has_value());
    REQUIRE(is_at_end(worker.connection.server));
  }));
}

TEST_CASE("handoff: a client that leaves is seen to leave, and can still be answered") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    ::shutdown(worker.connection.client.get(), SHUT_WR);
    REQUIRE(Worker::serve_until([&] { return is_at_end(worker.connection.server); }));
    say(worker.connection.server, "goodbye");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.client) == "goodbye"; }));
    move_clock(GRACE_MS);
    REQUIRE(eventually([&] {
      handoff_look();
      return is_at_end(worker.connection.client);
    }));
    REQUIRE(!worker.handed_off().has_value());
  }));
}

TEST_CASE("handoff: an application that closes it closes it for the client, behind its last bytes") {
  CHECK(in_child([] {
    Worker worker;
    worker.replace();
    say(worker.connection.server, "last");
    worker.connection.server.reset();
    std::string heard;
    REQUIRE(Worker::serve_until([&] {
      heard += hear(worker.connection.client);
      return heard == "last" && is_at_end(worker.connection.client);
    }));
    REQUIRE(!worker.handed_off().has_value());
    REQUIRE(!linger_has_none());
  }));
}

TEST_CASE("handoff: without a successor all is relayed to the application, both ways") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    REQUIRE(!handoff_is_over());
    handoff_give_up();
    REQUIRE(handoff_is_over());
    say(worker.connection.client, "question");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.server) == "question"; }));
    REQUIRE(handoff_is_busy());
    say(worker.connection.server, "answer");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.client) == "answer"; }));
    REQUIRE(!handoff_is_busy());
    move_clock(10 * GRACE_MS);
    handoff_look();
    REQUIRE(!worker.handed_off().has_value());
    // Nor is any other one replaced.
    REQUIRE(!worker.consider(worker.connection.server));
  }));
}

TEST_CASE("handoff: a master that does not take it leaves it with the application") {
  CHECK(in_child([] {
    Worker worker;
    worker.replace();
    worker.die();
    say(worker.connection.client, "question");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.server) == "question"; }));
    say(worker.connection.server, "answer");
    REQUIRE(Worker::serve_until([&] { return hear(worker.connection.client) == "answer"; }));
  }));
}

TEST_CASE("handoff: a client that takes nothing holds nobody up, and gets all in its order") {
  CHECK(in_child([] {
    const Worker worker;
    worker.replace();
    handoff_give_up();
    std::string said, heard;
    for (int i = 0; said.size() < 6'000'000; ++i) {
      const std::string block = std::to_string(i) + std::string(50'000, '.');
      const ssize_t sent = ::send(worker.connection.server.get(), block.data(), block.size(), MSG_DONTWAIT);
      if (sent > 0) said += block.substr(0, static_cast<std::size_t>(sent));
      if (is_readable(handoff_fd())) handoff_serve();
      if (sent < 0 && !is_readable(handoff_fd())) break;
    }
    REQUIRE(Worker::serve_until([&] {
      for (std::string part; !(part = hear(worker.connection.client)).empty();) heard += part;
      return heard.size() == said.size();
    }));
    REQUIRE(heard == said);
  }));
}

TEST_CASE("handoff: taken and undone, nothing has happened") {
  CHECK(in_child([] {
    const Worker worker;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const handoff_origin origin{1, worker.connection.server.get(), 3, false};
    const int copy = ::fcntl(worker.connection.server.get(), F_DUPFD_CLOEXEC, 100);
    handoff* const taken = handoff_take(copy, ends[0], &origin);
    REQUIRE(taken != nullptr);
    REQUIRE(fd_flags(copy) == FLAG_HOST);
    handoff_undo(taken);
    REQUIRE(!is_open(copy));
    REQUIRE(!is_open(ends[0]));
    REQUIRE(fd_flags(copy) == 0);
    say(worker.connection.client, "x");
    REQUIRE(eventually([&] { return hear(worker.connection.server) == "x"; }));
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    REQUIRE(handoff_take(-1, ends[0], &origin) == nullptr);
    REQUIRE(!is_open(ends[0]));
  }));
}

TEST_CASE("idle connections: not while a client waits for an answer, has unread bytes or has left") {
  CHECK(in_child([] {
    const Worker worker;
    Connection left(worker.fd);
    ::shutdown(left.client.get(), SHUT_WR);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a later tick of the kernel's clock
    say(worker.connection.client, "ask");
    REQUIRE(eventually([&] { return is_readable(worker.connection.server.get()); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    REQUIRE(!worker.consider(worker.connection.server));
    REQUIRE(hear(worker.connection.server) == "ask");
    REQUIRE(!worker.consider(worker.connection.server));
    REQUIRE(!worker.consider(left.server));
    idle_connections_step();
    REQUIRE(!worker.is_replaced());
  }));
}

TEST_CASE(
    "idle connections: one that has two descriptors is none that can be replaced, and is not tried each "
    "time") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd copy = duplicate(worker.connection.server);
    REQUIRE(eventually([&] { return worker.consider(worker.connection.server); }));
    REQUIRE(worker.consider(copy));
    idle_connections_step();
    REQUIRE(!worker.is_replaced());
    REQUIRE(fd_flags(worker.connection.server.get()) == 0);
    REQUIRE(!worker.consider(worker.connection.server));
    REQUIRE(worker.consider(worker.connection.server));
  }));
}

TEST_CASE("idle connections: the placeholder is like the connection, in epolls too") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd epoll = make_epoll();
    const int fd = worker.connection.server.get();
    const timeval limit{7, 0};
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    REQUIRE(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    watch(epoll, fd, 42);
    worker.replace();
    REQUIRE(!is_blocking(fd));
    timeval kept{};
    socklen_t size = sizeof kept;
    REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kept, &size) == 0);
    REQUIRE(kept.tv_sec == 7);
    REQUIRE(reported(epoll).empty());
    REQUIRE((fd_flags(fd) & FLAG_HANDOFF) == 0);
    say(worker.connection.client, "next");
    REQUIRE(Worker::serve_until([&] { return worker.handed_off().has_value(); }));
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{42});
  }));
}

TEST_CASE("idle connections: one that is in the middle of an answer is none") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd fd = duplicate(worker.fd);
    const Connection slow(fd);
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
    traffic_accepted(slow.server.get());
    traffic_sent(slow.server.get(), head.data(), head.size());
    say(slow.server, head);
    REQUIRE(eventually([&] { return worker.consider(slow.server); }));
    idle_connections_step();
    struct connection now {};
    REQUIRE(tcp_state_look(slow.server.get(), &now));
  }));
}
