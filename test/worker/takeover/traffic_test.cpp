// What the kernel knows of a connection (takeover/tcp_state.h), and what the application was seen to send on
// it (takeover/traffic.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <sys/uio.h>

#include <string>

extern "C" {
#include "worker/takeover/tcp_state.h"
#include "worker/takeover/traffic.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

connection look(const UniqueFd& fd) {
  connection found{};
  REQUIRE(tcp_state_look(fd.get(), &found));
  return found;
}

void say(const UniqueFd& fd, const std::string& text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

std::string hear(const UniqueFd& fd) {
  char bytes[4096];
  const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, 0);
  REQUIRE(size > 0);
  return std::string(bytes, static_cast<std::size_t>(size));
}

UniqueFd listening() { return listen_inet(); }

// The application's own, which is followed from its accept() on.
struct Followed : Connection {
  Followed() : Connection(listening()) { traffic_accepted(server.get()); }
  ~Followed() { traffic_lost(server.get()); }
  Followed& sends(const std::string& text) {
    traffic_sent(server.get(), text.data(), text.size());
    return *this;
  }
  Followed& receives(const std::string& text) {
    traffic_received(server.get(), text.data(), text.size());
    return *this;
  }
  // Without what the kernel says.
  enum http_answer_state state() const { return traffic_answer(server.get(), nullptr); }
  enum http_answer_state state(const connection& kernels) const {
    return traffic_answer(server.get(), &kernels);
  }
};

const std::string kHead = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", kBody = "hello";

}  // namespace

TEST_CASE("tcp_state: what is no TCP connection") {
  connection found{};
  std::uint64_t unread = 0;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const UniqueFd datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
  for (const int fd : {-1, 0, pair[0], datagrams.get()}) {
    CHECK(!tcp_state_look(fd, &found));
    CHECK(!tcp_state_look_unread(fd, &found, &unread));
  }
  for (const int fd : pair) ::close(fd);
}

TEST_CASE("tcp_state: a connection on which nobody has said anything") {
  const Connection connection(listening());
  const auto found = look(connection.server);
  CHECK(found.state == CONNECTION_OPEN);
  CHECK(found.last == LAST_NOBODYS);
  CHECK(found.is_empty);
  CHECK(found.received == 0);
  CHECK(found.sent == 0);
  CHECK(found.acked == 0);
  CHECK(!found.has_unacked);
  CHECK(found.speaks_ms == 0);
}

TEST_CASE("tcp_state: the client has asked, the application answers") {
  const Connection connection(listening());
  say(connection.client, "question");
  auto found = look(connection.server);
  CHECK(found.last == LAST_CLIENTS);
  CHECK(!found.is_empty);
  CHECK(found.received == 8);
  hear(connection.server);
  found = look(connection.server);
  CHECK(found.last == LAST_CLIENTS);
  CHECK(found.is_empty);
  // In a later tick of the kernel's clock.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  say(connection.server, "the answer");
  CHECK(eventually([&] { return look(connection.server).acked == 10; }));
  found = look(connection.server);
  CHECK(found.last == LAST_APPLICATIONS);
  CHECK(found.sent == 10);
  CHECK(!found.has_unacked);
  CHECK(found.speaks_ms > 0);
  CHECK(found.silent_ms < 5000);
  // From the client's side the other one has spoken last, and nothing is read yet.
  found = look(connection.client);
  CHECK(found.last == LAST_CLIENTS);
  CHECK(!found.is_empty);
}

TEST_CASE("tcp_state: an application that speaks first") {
  const Connection connection(listening());
  say(connection.server, "220 ready");
  CHECK(look(connection.server).last == LAST_APPLICATIONS);
  CHECK(look(connection.server).received == 0);
}

TEST_CASE("tcp_state: how many bytes of the client are unread") {
  const Connection connection(listening());
  std::uint64_t unread = 9;
  struct connection found {};
  REQUIRE(tcp_state_look_unread(connection.server.get(), &found, &unread));
  CHECK(unread == 0);
  say(connection.client, std::string(1000, 'x'));
  REQUIRE(tcp_state_look_unread(connection.server.get(), &found, &unread));
  CHECK(unread == 1000);
  CHECK(found.received == 1000);
  char bytes[300];
  REQUIRE(::recv(connection.server.get(), bytes, sizeof bytes, 0) == 300);
  REQUIRE(tcp_state_look_unread(connection.server.get(), &found, &unread));
  CHECK(unread == 700);
}

TEST_CASE("tcp_state: what a client does not take is not empty, and not acknowledged") {
  const Connection connection(listening());
  const std::string block(65'536, 'b');
  while (::send(connection.server.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) continue;
  const auto found = look(connection.server);
  CHECK(!found.is_empty);
  CHECK(found.has_unacked);
  CHECK(found.acked < found.sent + 4'000'000);
}

TEST_CASE("tcp_state: that the client has left is no byte of its own") {
  const Connection silent(listening()), asked(listening());
  say(asked.client, "question");
  hear(asked.server);
  for (const Connection* const each : {&silent, &asked}) {
    ::shutdown(each->client.get(), SHUT_WR);
    REQUIRE(eventually([&] { return look(each->server).state == CONNECTION_LEFT; }));
  }
  CHECK(look(silent.server).received == 0);
  CHECK(look(silent.server).last == LAST_NOBODYS);
  CHECK(look(asked.server).received == 8);
  CHECK(look(asked.server).last == LAST_CLIENTS);
  std::uint64_t unread = 9;
  struct connection found {};
  REQUIRE(tcp_state_look_unread(asked.server.get(), &found, &unread));
  CHECK(unread == 0);
}

TEST_CASE("tcp_state: each end") {
  {
    const Connection connection(listening());
    ::shutdown(connection.client.get(), SHUT_WR);
    CHECK(eventually([&] { return look(connection.server).state == CONNECTION_LEFT; }));
  }
  {
    const Connection connection(listening());
    ::shutdown(connection.server.get(), SHUT_WR);
    CHECK(look(connection.server).state == CONNECTION_CLOSED);
    ::shutdown(connection.client.get(), SHUT_WR);
    CHECK(eventually([&] { return look(connection.server).state == CONNECTION_OVER; }));
  }
  Connection connection(listening());
  const linger at_once{1, 0};
  REQUIRE(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
  connection.client.reset();
  CHECK(eventually([&] { return look(connection.server).state == CONNECTION_OVER; }));
}

TEST_CASE("traffic: what nobody follows is unknown") {
  const Connection connection(listening());
  CHECK(!traffic_is_followed(connection.server.get()));
  CHECK(traffic_answer(connection.server.get(), nullptr) == ANSWER_UNKNOWN);
  CHECK(traffic_noted(connection.server.get()) == 0);
  for (const int fd : {-1, int{TRAFFIC_MAX}, INT32_MAX}) {
    traffic_accepted(fd);
    traffic_adopted(fd);
    CHECK(!traffic_is_followed(fd));
    CHECK(traffic_answer(fd, nullptr) == ANSWER_UNKNOWN);
  }
}

TEST_CASE("traffic: an answer, as it is sent") {
  CHECK(Followed().state() == ANSWER_COMPLETE);
  CHECK(Followed().sends(kHead).sends("hel").state() == ANSWER_UNFINISHED);
  CHECK(Followed().sends(kHead + kBody).state() == ANSWER_COMPLETE);
  Followed followed;
  followed.sends(kHead).sends(kBody);
  CHECK(traffic_noted(followed.server.get()) == kHead.size() + kBody.size());
  CHECK(traffic_is_followed(followed.server.get()));
  // A descriptor that is used again begins anew.
  followed.sends(kHead);
  traffic_accepted(followed.server.get());
  CHECK(followed.state() == ANSWER_COMPLETE);
  CHECK(traffic_noted(followed.server.get()) == 0);
}

TEST_CASE("traffic: what is no HTTP is not followed any more") {
  Followed followed;
  followed.sends("+PONG\r\n");
  CHECK(followed.state() == ANSWER_UNKNOWN);
  CHECK(!traffic_is_followed(followed.server.get()));
  CHECK(traffic_noted(followed.server.get()) == 0);
}

TEST_CASE("traffic: parts, as many bytes of them as were sent") {
  std::string head = kHead, body = kBody;
  iovec parts[2] = {{head.data(), head.size()}, {body.data(), body.size()}};
  for (std::size_t size = 1; size <= head.size() + body.size(); ++size) {
    CAPTURE(size);
    Followed followed;
    traffic_sent_parts(followed.server.get(), parts, 2, size);
    CHECK(traffic_noted(followed.server.get()) == size);
    const bool is_doubtful = size == head.size();  // a head alone may answer HEAD
    if (size == head.size() + body.size()) CHECK(followed.state() == ANSWER_COMPLETE);
    if (size < head.size() && !is_doubtful) CHECK(followed.state() == ANSWER_UNFINISHED);
  }
}

TEST_CASE("traffic: a body from a file") {
  Followed followed;
  followed.sends(kHead);
  traffic_sent_file(followed.server.get(), 3);
  CHECK(followed.state() == ANSWER_UNFINISHED);
  traffic_sent_file(followed.server.get(), 2);
  CHECK(followed.state() == ANSWER_COMPLETE);
  CHECK(traffic_noted(followed.server.get()) == kHead.size() + 5);
}

TEST_CASE("traffic: lost is lost") {
  Followed followed;
  followed.sends(kHead);
  traffic_lost(followed.server.get());
  CHECK(followed.state() == ANSWER_UNKNOWN);
}

TEST_CASE("traffic: only what agrees with the kernel's count is believed") {
  Followed followed;
  const std::string answer = kHead + kBody;
  followed.sends(answer);
  connection kernels{};
  kernels.acked = answer.size();
  CHECK(followed.state(kernels) == ANSWER_COMPLETE);
  kernels.acked = answer.size() + 1;  // something was sent unseen
  CHECK(followed.state(kernels) == ANSWER_UNKNOWN);
  kernels.acked = answer.size() - 1;
  CHECK(followed.state(kernels) == ANSWER_UNKNOWN);
  kernels.has_unacked = true;  // the rest is on its way
  CHECK(followed.state(kernels) == ANSWER_COMPLETE);
  kernels.acked = answer.size();
  CHECK(followed.state(kernels) == ANSWER_UNKNOWN);
}

TEST_CASE("traffic: with a real connection, to the last byte") {
  Followed followed;
  followed.sends(kHead);
  say(followed.server, kHead);
  CHECK(eventually([&] { return look(followed.server).acked == kHead.size(); }));
  followed.sends("he");
  say(followed.server, "he");
  CHECK(eventually([&] { return !look(followed.server).has_unacked; }));
  CHECK(followed.state(look(followed.server)) == ANSWER_UNFINISHED);
  say(followed.server, "unseen");
  CHECK(eventually([&] { return look(followed.server).acked == kHead.size() + 8; }));
  CHECK(followed.state(look(followed.server)) == ANSWER_UNKNOWN);
}

TEST_CASE("traffic: a connection that was handed off goes on with the kernel's count") {
  CHECK(in_child([] {
    const Connection connection(listening());
    say(connection.server, "of the worker before");
    REQUIRE(eventually([&] { return !look(connection.server).has_unacked; }));
    traffic_adopted(connection.server.get());
    REQUIRE(!traffic_is_followed(connection.server.get()));  // nothing is
    traffic_follow();
    traffic_adopted(connection.server.get());
    REQUIRE(traffic_is_followed(connection.server.get()));
    REQUIRE(traffic_noted(connection.server.get()) == 20);
    const auto kernels = look(connection.server);
    REQUIRE(traffic_answer(connection.server.get(), &kernels) == ANSWER_COMPLETE);
    // Of a Unix socket the kernel counts nothing.
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    traffic_accepted(pair[0]);
    traffic_adopted(pair[0]);
    REQUIRE(!traffic_is_followed(pair[0]));
  }));
}

TEST_CASE("traffic: guesses count as unfinished for half of the drain limit") {
  CHECK(in_child([] {
    Followed head, asked;
    head.sends(kHead);
    asked.receives("GET / HTTP/1.1\r\n\r\n");
    connection open{};
    open.acked = kHead.size();
    connection left = open;
    left.state = CONNECTION_LEFT;
    connection none{};
    REQUIRE(drain_setup());
    drain_order(1000);
    REQUIRE(head.state(open) == ANSWER_UNFINISHED);
    REQUIRE(head.state(left) == ANSWER_COMPLETE);  // the client waits for no body
    REQUIRE(asked.state(none) == ANSWER_UNFINISHED);
    // Of a Unix socket: the request may not be complete, although its answer may also have been sent unseen.
    REQUIRE(asked.state() == ANSWER_UNFINISHED);
    REQUIRE(head.state() == ANSWER_UNFINISHED);
    move_clock(600);
    REQUIRE(head.state(open) == ANSWER_COMPLETE);
    REQUIRE(asked.state(none) == ANSWER_COMPLETE);
    REQUIRE(asked.state() == ANSWER_COMPLETE);
    // What is no guess stays.
    Followed sure;
    sure.sends(kHead).sends("he");
    REQUIRE(sure.state() == ANSWER_UNFINISHED);
    REQUIRE(traffic_is_answering(sure.server.get(), nullptr));
  }));
}
