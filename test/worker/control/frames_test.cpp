// The frames of the master are carried out (control/frames.h), and requests to it answered
// (control/request.h): with no control thread, whose part the test plays.
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/holds.h"
#include "worker/control/frames.h"
#include "worker/control/request.h"
#include "worker/link/inbox.h"
#include "worker/link/open_requests.h"
#include "worker/retire/linger.h"
#include "worker/retire/retire.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() {
    REQUIRE(holds_setup());
    REQUIRE(inbox_setup());
    REQUIRE(linger_setup());
    REQUIRE(open_requests_setup());
    accept_waiters_setup();
    options.drain_limit_ms = 70'000;
    options.keepalive_grace_ms = 1000;
    frames_setup(&options);
  }
  // The master says so, and it is done.
  void say(const liveswap_frame& frame, const std::string& text = "",
           const std::vector<int>& fds = {}) const {
    send(frame, text, fds);
    REQUIRE(frames_serve());
  }
  ::options options{};
  UniqueFd fd = listen_inet();
  const listener* held = hold(fd);
};

std::string bytes_of(std::uint64_t cookie) {
  return std::string(reinterpret_cast<const char*>(&cookie), sizeof cookie);
}

bool is_placeholder(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address.ss_family == AF_UNIX;
}

std::size_t count_open() {
  std::size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += is_open(fd);
  return count;
}

}  // namespace

TEST_CASE("frames: told to drain, an application that does not do it itself is drained from outside") {
  CHECK(in_child([] {
    const Worker worker;
    worker.say({.kind = LIVESWAP_DRAIN, .value = 5000});
    REQUIRE(liveswap_drain_left_ms() == 5000);
    REQUIRE(retire_has_begun());
    REQUIRE(is_placeholder(worker.fd));
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_RETIRING});
  }));
}

TEST_CASE("frames: one that drains by itself keeps its listeners until the limit has passed") {
  CHECK(in_child([] {
    const Worker worker;
    liveswap_drain_fd();
    worker.say({.kind = LIVESWAP_DRAIN, .value = -1});
    REQUIRE(liveswap_draining() == 1);
    REQUIRE(liveswap_drain_left_ms() == -1);
    REQUIRE(!retire_has_begun());
    REQUIRE(!is_placeholder(worker.fd));
    worker.say({.kind = LIVESWAP_DRAIN, .value = 100});
    REQUIRE(liveswap_drain_left_ms() == 100);
    worker.say({.kind = LIVESWAP_REVOKE});
    REQUIRE(is_placeholder(worker.fd));
  }));
}

TEST_CASE("frames: a message that the inbox has room for, and one that it has not") {
  CHECK(in_child([] {
    const Worker worker;
    worker.say({.kind = LIVESWAP_MESSAGE, .value = 3}, "hello");
    worker.say({.kind = LIVESWAP_MESSAGE, .value = 4});  // an empty one would look like none
    const auto taken = worker.receive(), refused = worker.receive();
    REQUIRE(refused.has_value());
    REQUIRE(taken->kind == LIVESWAP_TAKEN);
    REQUIRE(taken->value == 3);
    REQUIRE(refused->kind == LIVESWAP_REFUSED);
    REQUIRE(refused->value == 4);
    char text[16];
    REQUIRE(liveswap_message(text, sizeof text) == 5);
    REQUIRE(std::string(text) == "hello");
  }));
}

TEST_CASE("frames: how many connections there are") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    worker.say({.kind = LIVESWAP_COUNT, .value = 12});
    const auto counted = worker.receive();
    REQUIRE(counted->kind == LIVESWAP_COUNTED);
    REQUIRE(counted->value == 12);
    REQUIRE(counted->count == 1);
  }));
}

TEST_CASE("frames: a connection that is to be adopted; without its listener's name it is closed") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    const std::size_t before = count_open();
    worker.say({.kind = LIVESWAP_ADOPT}, "short", {connection.server.get()});
    worker.say({.kind = LIVESWAP_ADOPT}, "", {connection.server.get()});
    REQUIRE(count_open() == before);
    REQUIRE(!adopted_is_waiting());
    worker.say({.kind = LIVESWAP_ADOPT}, bytes_of(worker.held->cookie), {connection.server.get()});
    REQUIRE(adopted_has_one(worker.fd.get()));
    REQUIRE(worker.kinds().empty());
    worker.say({.kind = LIVESWAP_ADOPT}, bytes_of(worker.held->cookie));
    REQUIRE(worker.receive()->kind == LIVESWAP_LOG);  // it was lost on its way
  }));
}

TEST_CASE("frames: a connection with a negative number is a liveness check") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    worker.say({.kind = LIVESWAP_ADOPT, .value = -5}, bytes_of(worker.held->cookie));  // lost on its way
    const auto refused = worker.receive();
    REQUIRE(refused->kind == LIVESWAP_REFUSED);
    REQUIRE(refused->value == -5);
    REQUIRE(refused->count == LIVESWAP_REFUSAL_NO_ROOM);
    worker.say({.kind = LIVESWAP_ADOPT, .value = -5}, bytes_of(worker.held->cookie),
               {connection.server.get()});
    REQUIRE(adopted_has_one(worker.fd.get()));
    REQUIRE(UniqueFd::adopt(adopted_accept(worker.fd.get(), nullptr, nullptr, -1)));
    auto told = worker.receive();
    while (told && told->kind == LIVESWAP_OPTION) told = worker.receive();
    REQUIRE(told->kind == LIVESWAP_TAKEN);
    REQUIRE(told->value == -5);
  }));
}

TEST_CASE("frames: a socket that takes a listener's place") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd by = listen_inet();
    const std::size_t before = count_open();
    worker.say({.kind = LIVESWAP_REPLACE}, "short", {by.get()});
    REQUIRE(count_open() == before);
    REQUIRE(cookie_of(worker.fd.get()) == worker.held->cookie);
    worker.say({.kind = LIVESWAP_REPLACE}, bytes_of(worker.held->cookie), {by.get()});
    REQUIRE(cookie_of(worker.fd.get()) == cookie_of(by.get()));
    worker.say({.kind = LIVESWAP_REPLACE}, bytes_of(worker.held->cookie));
    REQUIRE(worker.receive()->kind == LIVESWAP_LOG);
  }));
}

TEST_CASE("frames: what a newer master says is passed over, and no descriptor that comes along stays open") {
  CHECK(in_child([] {
    const Worker worker;
    const std::size_t before = count_open();
    for (const std::uint32_t kind : {0U, 8U, 63U, 4711U, UINT32_MAX}) worker.say({.kind = kind}, "text", {0});
    for (const std::uint32_t kind : {LIVESWAP_COUNT, LIVESWAP_REVOKE, LIVESWAP_ANSWER})
      worker.say({.kind = kind}, "", {0});
    worker.send_bytes("x", {0});
    REQUIRE(frames_serve());
    REQUIRE(count_open() == before);
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_COUNTED});
  }));
}

TEST_CASE("frames: nothing is there") {
  CHECK(in_child([] {
    const Worker worker;
    REQUIRE(frames_serve());
    REQUIRE(!drain_is_on());
  }));
}

TEST_CASE("frames: a master that dies before the application is loaded ends the worker") {
  const int status = status_of_child([] {
    Worker worker;
    worker.die();
    frames_serve();
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == LIVESWAP_EXIT_LOAD);
}

TEST_CASE(
    "frames: when the master dies later the worker drains by its own limit, and nobody waits for answers") {
  CHECK(in_child([] {
    Worker worker;
    frames_entered();
    open_request waiting{};
    open_requests_add(&waiting);
    worker.die();
    REQUIRE(!frames_serve());
    REQUIRE(liveswap_drain_left_ms() == 70'000);
    REQUIRE(retire_has_begun());
    REQUIRE(waiting.done);
    open_requests_wait(&waiting, 0);
  }));
}

namespace {

// What request_ask() says; meanwhile the test answers as the master would.
template <typename Answer>
int ask(const Worker& worker, request asked, int* given, Answer answer) {
  int result = -2;
  std::thread application([&] { result = request_ask(&asked, given); });
  std::optional<Received> frame;
  REQUIRE(eventually([&] { return (frame = worker.receive()).has_value(); }));
  answer(*frame);
  REQUIRE(frames_serve());
  application.join();
  return result;
}

}  // namespace

TEST_CASE("request: the answer, with a descriptor that is wanted, and with one that is not") {
  CHECK(in_child([] {
    const Worker worker;
    set_clock_back();  // the kernel's waits are by its own
    int given = -2;
    const std::string path = "/run/socket";
    const request asked{LIVESWAP_UNLINK, 7, path.data(), path.size(), -1};
    const auto refuse = [&](const Received& frame) {
      REQUIRE(frame.kind == LIVESWAP_UNLINK);
      REQUIRE(frame.value > 0);
      REQUIRE(frame.count == 7);
      REQUIRE(frame.text == path);
      worker.send({.kind = LIVESWAP_ANSWER, .value = frame.value, .count = EACCES});
    };
    REQUIRE(ask(worker, asked, &given, refuse) == EACCES);
    REQUIRE(given == -1);
    const auto give = [&](const Received& frame) {
      worker.send({.kind = LIVESWAP_ANSWER, .value = frame.value}, "", {worker.fd.get()});
    };
    REQUIRE(ask(worker, asked, &given, give) == 0);
    REQUIRE(given >= 0);
    REQUIRE(cookie_of(given) == worker.held->cookie);
    ::close(given);
    const std::size_t before = count_open();
    REQUIRE(ask(worker, asked, nullptr, give) == 0);
    REQUIRE(count_open() == before);
  }));
}

TEST_CASE("request: a descriptor goes along, borrowed") {
  CHECK(in_child([] {
    const Worker worker;
    set_clock_back();
    const auto check = [&](const Received& frame) {
      REQUIRE(cookie_of(frame.fd.get()) == worker.held->cookie);
      worker.send({.kind = LIVESWAP_ANSWER, .value = frame.value});
    };
    REQUIRE(ask(worker, {LIVESWAP_BIND, 0, nullptr, 0, worker.fd.get()}, nullptr, check) == 0);
    REQUIRE(is_open(worker.fd.get()));
  }));
}

TEST_CASE("request: without a master there is no answer, at once; nor in a child") {
  CHECK(in_child([] {
    Worker worker;
    set_clock_back();
    const request asked{LIVESWAP_LISTEN, 1, nullptr, 0, -1};
    int given = -2;
    REQUIRE(in_child([&] { REQUIRE(request_ask(&asked, &given) == REQUEST_UNANSWERED); }));
    worker.die();
    REQUIRE(request_ask(&asked, &given) == REQUEST_UNANSWERED);
    REQUIRE(given == -1);
    REQUIRE(!open_requests_any());
  }));
}
