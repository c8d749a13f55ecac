// Connections are closed so that their last bytes arrive (retire/linger.h, and the contract's two functions).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <cerrno>
#include <string>
#include <vector>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/holds.h"
#include "worker/base/slow_path.h"
#include "worker/retire/linger.h"
#include "worker/takeover/connection_count.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() {
    REQUIRE(holds_setup());
    REQUIRE(linger_setup());
  }
  UniqueFd fd = listen_inet();
};

bool has_work() {
  pollfd waits{linger_fd(), POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

// As the control thread does, until it has nothing more to do.
bool serve_until_none() {
  return eventually([] {
    if (has_work()) linger_serve();
    return linger_has_none();
  });
}

// All that the client can read, or the error.
std::string read_all(const UniqueFd& client) {
  std::string all;
  char bytes[4096];
  for (;;) {
    const ssize_t size = ::recv(client.get(), bytes, sizeof bytes, 0);
    if (size < 0) return "error " + std::to_string(errno);
    if (size == 0) return all;
    all.append(bytes, static_cast<std::size_t>(size));
  }
}

}  // namespace

TEST_CASE("linger: it holds the worker until the client has closed too") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    REQUIRE(linger_has_none());
    REQUIRE(::send(connection.server.get(), "bye", 3, MSG_NOSIGNAL) == 3);
    const int fd = connection.server.release();
    REQUIRE(liveswap_close_lingering(fd) == 0);
    REQUIRE(!linger_has_none());
    REQUIRE(!holds_none());
    REQUIRE((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(read_all(connection.client) == "bye");
    REQUIRE(!has_work());
    connection.client.reset();
    REQUIRE(serve_until_none());
    REQUIRE(!is_open(fd));
    REQUIRE(holds_none());
  }));
}

TEST_CASE("linger: a control thread that is parked is needed for it, one that is there sees it by itself") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    wake_clear();
    slow_path_remove(SLOW_NEEDED);
    REQUIRE(liveswap_close_lingering(connection.server.release()) == 0);
    REQUIRE(slow_path_has(SLOW_NEEDED));
    pollfd waits{wake_fd(), POLLIN, 0};
    REQUIRE(::poll(&waits, 1, 0) == 0);
  }));
}

TEST_CASE("linger: what the client still sends does not cost it the answer") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    const std::string rest(100'000, 'r');
    REQUIRE(::send(connection.client.get(), rest.data(), rest.size(), MSG_DONTWAIT) > 0);
    REQUIRE(::send(connection.server.get(), "answer", 6, MSG_NOSIGNAL) == 6);
    REQUIRE(liveswap_close_lingering(connection.server.release()) == 0);
    for (int i = 0; i < 20; ++i) {
      ::send(connection.client.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      linger_serve();
    }
    REQUIRE(read_all(connection.client) == "answer");
    connection.client.reset();
    REQUIRE(serve_until_none());
  }));
}

TEST_CASE("linger: a client that does not close is waited for no longer than 2 s") {
  CHECK(in_child([] {
    const Worker worker;
    Connection first(worker.fd), second(worker.fd);
    const int one = first.server.release(), other = second.server.release();
    REQUIRE(liveswap_close_lingering(one) == 0);
    move_clock(1000);
    REQUIRE(liveswap_close_lingering(other) == 0);
    linger_serve();
    REQUIRE(is_open(one));
    move_clock(1000);
    linger_serve();
    REQUIRE(!is_open(one));
    REQUIRE(is_open(other));
    REQUIRE(!linger_has_none());
    move_clock(1000);
    linger_serve();
    REQUIRE(linger_has_none());
    REQUIRE(holds_none());
  }));
}

TEST_CASE("linger: what is no socket stays the caller's") {
  CHECK(in_child([] {
    const Worker worker;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    for (const auto close : {+[](int fd) { return liveswap_close_lingering(fd); },
                             +[](int fd) { return liveswap_close_idle(fd, 1000); }}) {
      errno = 0;
      REQUIRE(close(ends[0]) == -1);
      REQUIRE(errno == ENOTSOCK);
      REQUIRE(is_open(ends[0]));
      errno = 0;
      REQUIRE(close(-1) == -1);
      REQUIRE(errno == EBADF);
    }
    REQUIRE(linger_has_none());
  }));
}

TEST_CASE("linger: what the application has set for close() is not done") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    const linger at_once{1, 0};
    REQUIRE(::setsockopt(connection.server.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    REQUIRE(::send(connection.server.get(), "bye", 3, MSG_NOSIGNAL) == 3);
    const int fd = connection.server.release();
    REQUIRE(liveswap_close_lingering(fd) == 0);
    linger now{1, 1};
    socklen_t size = sizeof now;
    REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_LINGER, &now, &size) == 0);
    REQUIRE(now.l_onoff == 0);
    move_clock(2000);
    linger_serve();
    REQUIRE(linger_has_none());
    REQUIRE(read_all(connection.client) == "bye");
  }));
}

TEST_CASE("linger: a client that is gone already is not waited for") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    const linger at_once{1, 0};
    REQUIRE(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    connection.client.reset();
    const int fd = connection.server.release();
    REQUIRE(liveswap_close_lingering(fd) == 0);
    REQUIRE(serve_until_none());
    REQUIRE(!is_open(fd));
  }));
}

TEST_CASE("linger: of a duplicate that the application keeps nothing is reported any more") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    const UniqueFd copy = duplicate(connection.server);
    REQUIRE(liveswap_close_lingering(connection.server.release()) == 0);
    connection.client.reset();
    REQUIRE(serve_until_none());
    REQUIRE(is_open(copy.get()));
    REQUIRE(!has_work());
  }));
}

TEST_CASE("linger: for more than a thousand the oldest is closed at once") {
  CHECK(in_child([] {
    enum { MORE = 1030 };
    rlimit most{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &most) == 0);
    most.rlim_cur = most.rlim_max;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &most) == 0);
    if (most.rlim_cur < 2 * MORE + 200) return;  // this user may not have as many
    const Worker worker;
    std::vector<UniqueFd> clients;
    int first = -1;
    for (int i = 0; i < MORE; ++i) {
      int ends[2];
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      clients.push_back(UniqueFd::adopt(ends[0]));
      if (i == 0) first = ends[1];
      REQUIRE(liveswap_close_lingering(ends[1]) == 0);
      move_clock(1);
    }
    char byte;
    REQUIRE(::send(clients[0].get(), "x", 1, MSG_NOSIGNAL) == -1);  // nobody is there
    REQUIRE(::recv(clients[0].get(), &byte, 1, 0) == 0);
    REQUIRE(::send(clients[MORE - 1].get(), "x", 1, MSG_NOSIGNAL) == 1);
    REQUIRE(first >= 0);
    clients.clear();
    REQUIRE(serve_until_none());
    REQUIRE(holds_none());
  }));
}

TEST_CASE("close idle: not while the worker does not drain") {
  CHECK(in_child([] {
    const Worker worker;
    const Connection connection(worker.fd);
    REQUIRE(liveswap_close_idle(connection.server.get(), 1'000'000) > 0);
    REQUIRE(is_open(connection.server.get()));
    REQUIRE(linger_has_none());
  }));
}

TEST_CASE("close idle: when the drain and the silence are old enough, else it says when to ask again") {
  CHECK(in_child([] {
    const Worker worker;
    Connection connection(worker.fd);
    const int fd = connection.server.get();
    drain_order(-1);
    const int whole = liveswap_close_idle(fd, 1'000'000);
    REQUIRE(whole > 100);
    REQUIRE(whole <= 200);
    REQUIRE(liveswap_close_idle(fd, -5) == 200);
    move_clock(1000);
    REQUIRE(liveswap_close_idle(fd, 0) == 200);
    REQUIRE(liveswap_close_idle(fd, 150) == 50);
    REQUIRE(::send(connection.client.get(), "x", 1, 0) == 1);
    errno = 0;
    REQUIRE(liveswap_close_idle(fd, 1'000'000) == -1);
    REQUIRE(errno == EAGAIN);
    char byte;
    REQUIRE(::recv(fd, &byte, 1, 0) == 1);
    REQUIRE(liveswap_close_idle(fd, 200) == 0);
    connection.server.release();
    REQUIRE(!linger_has_none());
    REQUIRE(read_all(connection.client).empty());
    connection_count_last();
    const auto idle = worker.receive();
    REQUIRE(idle.has_value());
    REQUIRE(idle->kind == LIVESWAP_IDLE);
  }));
}
