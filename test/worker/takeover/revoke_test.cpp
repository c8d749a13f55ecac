// Listeners are taken away from the application (takeover/revoke.h); whether they block
// (takeover/blocking_mode.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <thread>

extern "C" {
#include "worker/base/clock.h"
#include "worker/base/libc.h"
#include "worker/takeover/accept_waiters.h"
#include "worker/takeover/blocking_mode.h"
#include "worker/takeover/revoke.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Worker : UnitWorker {
  Worker() { accept_waiters_setup(); }
  UniqueFd fd = listen_inet(), masters = duplicate(fd);
  const listener* held = hold(fd);
};

sockaddr_un name_of(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return address;
}

bool is_placeholder(int fd) { return name_of(fd).sun_family == AF_UNIX; }

}  // namespace

TEST_CASE("revoke: in the place of a listener is one that no client can reach") {
  CHECK(in_child([] {
    const Worker worker;
    const timeval limit{3, 500'000};
    REQUIRE(::setsockopt(worker.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    errno = ENOTTY;
    REQUIRE(revoke_descriptor(worker.fd.get(), worker.held));
    REQUIRE(errno == ENOTTY);
    REQUIRE(fd_flags(worker.fd.get()) == FLAG_REVOKED);
    REQUIRE(is_placeholder(worker.fd.get()));
    errno = 0;
    REQUIRE(::accept(worker.fd.get(), nullptr, nullptr) == -1);
    REQUIRE(errno == EAGAIN);
    const sockaddr_un address = name_of(worker.fd.get());
    REQUIRE(::access(address.sun_path, F_OK) != 0);
    const UniqueFd client = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0);
    timeval kept{};
    socklen_t size = sizeof kept;
    REQUIRE(::getsockopt(worker.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kept, &size) == 0);
    REQUIRE(kept.tv_sec == 3);
    // Who has the socket still gets the connections.
    const Connection connection(worker.masters);
    REQUIRE(connection.server);
  }));
}

TEST_CASE("revoke: of a socket for datagrams the mode stays, and nothing can be received") {
  for (const bool blocks : {true, false}) {
    CHECK(in_child([blocks] {
      const UnitWorker worker;
      const UniqueFd fd = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM), masters = duplicate(fd);
      if (!blocks) REQUIRE(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0);
      REQUIRE(revoke_descriptor(fd.get(), hold(fd)));
      REQUIRE(is_placeholder(fd.get()));
      REQUIRE(is_blocking(fd.get()) == blocks);
      sockaddr_in address{};
      address.sin_family = AF_INET, address.sin_port = htons(port_of(masters));
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      REQUIRE(::sendto(masters.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&address),
                       sizeof address) == 1);
      char byte;
      REQUIRE(::recv(fd.get(), &byte, 1, MSG_DONTWAIT) == -1);
      REQUIRE(::recv(masters.get(), &byte, 1, MSG_DONTWAIT) == 1);
    }));
  }
}

TEST_CASE("revoke: what is not that listener any more stays") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd other = listen_inet();
    fd_flags_set(other.get(), FLAG_HELD);
    REQUIRE(!revoke_descriptor(other.get(), worker.held));
    REQUIRE(!is_placeholder(other.get()));
    REQUIRE(fd_flags(other.get()) == FLAG_HELD);
  }));
}

TEST_CASE("revoke: every descriptor of every listener, in epolls too, and nothing else") {
  CHECK(in_child([] {
    const Worker worker;
    const UniqueFd copy = duplicate(worker.fd), second = listen_inet(), foreign = listen_inet(),
                   epoll = make_epoll();
    hold(second);
    watch(epoll, worker.fd.get(), 5);
    REQUIRE(!revoke_has_begun());
    revoke_listeners();
    REQUIRE(revoke_has_begun());
    for (const int fd : {worker.fd.get(), copy.get(), second.get()}) REQUIRE(is_placeholder(fd));
    REQUIRE(!is_placeholder(foreign.get()));
    REQUIRE(revoke_is_complete());
    REQUIRE(revoke_step() == -1);
    const UniqueFd client = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(reported(epoll).empty());
    REQUIRE(::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, worker.fd.get(), nullptr) == 0);
  }));
}

TEST_CASE("revoke: without descriptors it is tried again, not too often, until there are some") {
  CHECK(in_child([] {
    const Worker worker;
    {
      const NoMoreDescriptors full;
      revoke_listeners();
      REQUIRE(!is_placeholder(worker.masters.get()));
      REQUIRE(!revoke_is_complete());
      const std::int64_t due = revoke_step();
      REQUIRE(due > clock_ms() - 1);
      REQUIRE(revoke_step() == due);
    }
    REQUIRE(!revoke_is_complete());
    move_clock(20);
    REQUIRE(revoke_step() == -1);
    REQUIRE(is_placeholder(worker.fd.get()));
    REQUIRE(revoke_is_complete());
  }));
}

TEST_CASE("revoke: a thread that blocks in accept() comes out of it") {
  CHECK(in_child([] {
    const Worker worker;
    std::atomic<int> state = 0, error = 0;
    std::thread thread([&] {
      if (!accept_waiters_ready()) return;
      const int before = accept_waiters_begin(worker.fd.get());
      state = 1;
      if (::accept(worker.fd.get(), nullptr, nullptr) < 0) error = errno;
      accept_waiters_end(before);
      state = 2;
    });
    REQUIRE(eventually([&] { return state == 1; }));
    revoke_listeners();
    REQUIRE(eventually([&] {
      move_clock(20);
      return revoke_step() == -1;
    }));
    REQUIRE(revoke_is_complete());
    thread.join();
    REQUIRE(state == 2);
    REQUIRE(error == EAGAIN);
  }));
}

TEST_CASE("revoke: a thread that does not come out of accept() is complained of, once") {
  CHECK(in_child([] {
    const Worker worker;
    // As if one had left accept() without saying so: its place names the descriptor for ever.
    std::atomic<bool> is_there = false, is_over = false;
    std::thread thread([&] {
      if (accept_waiters_ready()) accept_waiters_begin(worker.fd.get());
      is_there = true;
      while (!is_over) continue;
    });
    REQUIRE(eventually([&] { return is_there.load(); }));
    revoke_listeners();
    for (int i = 0; i < 200; ++i) {
      move_clock(20);
      REQUIRE(revoke_step() >= 0);
    }
    REQUIRE(!revoke_is_complete());
    int complaints = 0;
    while (const auto frame = worker.receive()) {
      REQUIRE(frame->kind == LIVESWAP_LOG);
      complaints += frame->text.find("a thread stays in accept()") != std::string::npos;
    }
    REQUIRE(complaints == 1);
    is_over = true;
    thread.join();
    move_clock(20);
    REQUIRE(revoke_step() == -1);
  }));
}

TEST_CASE("blocking mode: a listener that shall block does so until it is waited for elsewhere") {
  CHECK(in_child([] {
    const Worker worker;
    fd_flags_add(worker.fd.get(), FLAG_BLOCKING);
    errno = ENOTTY;
    blocking_mode_begin_waits(worker.fd.get());
    REQUIRE(errno == ENOTTY);
    REQUIRE(!is_blocking(worker.fd.get()));
    REQUIRE((fd_flags(worker.fd.get()) & FLAG_BLOCKING) != 0);  // the application need not know
  }));
}

TEST_CASE("blocking mode: what is no listener, or does not block for the application, is left alone") {
  CHECK(in_child([] {
    const Worker worker;
    blocking_mode_begin_waits(worker.fd.get());
    REQUIRE(is_blocking(worker.fd.get()));
    const UniqueFd foreign = listen_inet();
    fd_flags_set(foreign.get(), FLAG_HELD | FLAG_BLOCKING);
    blocking_mode_begin_waits(foreign.get());
    REQUIRE(is_blocking(foreign.get()));
    REQUIRE(fd_flags(foreign.get()) == 0);
    blocking_mode_begin_waits(-1);
  }));
}

TEST_CASE("blocking mode: how it is waited for is noted, and looked at once") {
  CHECK(in_child([] {
    const Worker worker;
    fd_flags_add(worker.fd.get(), FLAG_BLOCKING);
    blocking_mode_note_wait(worker.fd.get(), FLAG_POLLED);
    REQUIRE(!is_blocking(worker.fd.get()));
    REQUIRE((fd_flags(worker.fd.get()) & FLAG_POLLED) != 0);
    REQUIRE(::fcntl(worker.fd.get(), F_SETFL, 0) == 0);
    blocking_mode_note_wait(worker.fd.get(), FLAG_POLLED);
    REQUIRE(is_blocking(worker.fd.get()));
    blocking_mode_note_wait(worker.fd.get(), FLAG_EPOLLED);
    REQUIRE(!is_blocking(worker.fd.get()));
  }));
}
