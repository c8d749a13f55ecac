// accept and accept4 (interpose/accept.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

extern "C" {
#include "worker/base/thread_interrupt.h"
#include "worker/interpose/event_loop.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/revoke.h"
#include "worker/takeover/traffic.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

UniqueFd accepted(const UniqueFd& listener) {
  errno = 0;
  return UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
}

// What accept() fails with; 0: it does not.
int refusal(const UniqueFd& listener) { return accepted(listener) ? 0 : errno; }

void limit(const UniqueFd& fd, int milliseconds) {
  const timeval time{milliseconds / 1000, milliseconds % 1000 * 1000};
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
}

void serves(const UniqueFd& client, int connection) {
  char byte = 0;
  REQUIRE(connection >= 0);
  REQUIRE(::send(connection, "x", 1, MSG_NOSIGNAL) == 1);
  REQUIRE(::recv(client.get(), &byte, 1, 0) == 1);
}

void nothing(int) {}

// Without the handlers that doctest installs.
void handle(int number, int flags) {
  for (int other = 1; other < NSIG; ++other)
    if (other != number) libc.signal(other, SIG_DFL);
  struct sigaction action {};
  action.sa_handler = nothing, action.sa_flags = flags;
  REQUIRE(::sigaction(number, &action, nullptr) == 0);
}

}  // namespace

TEST_CASE("accept: a listener that is not the master's is accepted from as by libc") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd listener = masters_listener();
    const UniqueFd first = connect_to(listener), second = connect_to(listener);
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const UniqueFd plain =
        UniqueFd::adopt(::accept(listener.get(), reinterpret_cast<sockaddr*>(&peer), &size));
    serves(first, plain.get());
    REQUIRE(size == sizeof peer);
    REQUIRE(ntohs(peer.sin_port) == port_of(first));
    REQUIRE(libc.fcntl(plain.get(), F_GETFD) == 0);
    const UniqueFd flagged =
        UniqueFd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    serves(second, flagged.get());
    REQUIRE(libc.fcntl(flagged.get(), F_GETFD) == FD_CLOEXEC);
    REQUIRE((libc.fcntl(flagged.get(), F_GETFL) & O_NONBLOCK) != 0);
    end_blocking(listener);
    REQUIRE(refusal(listener) == EAGAIN);
    REQUIRE(::accept(-1, nullptr, nullptr) == -1);
    REQUIRE(errno == EBADF);
    REQUIRE(::accept4(listener.get(), nullptr, nullptr, 1) == -1);
    REQUIRE(errno == EINVAL);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("accept: an application that wants no blocking gets EAGAIN") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    REQUIRE(refusal(held.fd) == EAGAIN);
    const UniqueFd client = connect_to(held.fd);
    serves(client, accepted(held.fd).get());
  }));
}

TEST_CASE("accept: blocking for this application, not for another: it waits for a connection") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    end_blocking(held.fd);  // by another generation
    limit(held.fd, 60'000);
    Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
    caller.await_poll();
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd connection = UniqueFd::adopt(static_cast<int>(caller.result()));
    serves(client, connection.get());
  }));
}

TEST_CASE("accept: a time limit of the listener ends the wait") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    limit(held.fd, 30);
    REQUIRE(refusal(held.fd) == EAGAIN);
    REQUIRE(held.is_nonblocking());  // where the kernel waited, no interrupt would end it
  }));
}

TEST_CASE("accept: a thread that may block in the kernel can be found and interrupted there") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING), other(FLAG_BLOCKING);
    Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
    caller.await(SYS_accept);
    REQUIRE(!control_thread_looks_for_loop());  // the control thread stays: no safe point is passed there
    REQUIRE(!held.is_nonblocking());
    REQUIRE(!accept_waiters_wake_at(held.fd.get()));
    REQUIRE(accept_waiters_wake_at(other.fd.get()));
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd connection = UniqueFd::adopt(static_cast<int>(caller.result()));
    serves(client, connection.get());
    REQUIRE(accept_waiters_wake_at(held.fd.get()));
  }));
}

TEST_CASE("accept: a thread that no interrupt reaches polls") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    Caller caller([&] {
      sigset_t all;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
      return ::accept(held.fd.get(), nullptr, nullptr);
    });
    caller.await_poll();
    REQUIRE(held.is_nonblocking());
    const UniqueFd client = connect_to(held.fd);
    serves(client, UniqueFd::adopt(static_cast<int>(caller.result())).get());
  }));
}

TEST_CASE("accept: a connection that another worker has taken sends the thread back to its poll, once") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING | FLAG_POLLED);
    end_blocking(held.fd);
    limit(held.fd, 20);
    REQUIRE(refusal(held.fd) == ECONNABORTED);
    // The thread does not poll in between, so another one does: this one waits.
    REQUIRE(refusal(held.fd) == EAGAIN);
    pollfd wanted{held.fd.get(), POLLIN, 0};
    REQUIRE(::poll(&wanted, 1, 0) == 0);
    REQUIRE(refusal(held.fd) == ECONNABORTED);
  }));
}

TEST_CASE("accept: a poll that has reported several listeners is gone back to from each") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held first(FLAG_BLOCKING | FLAG_POLLED), second(FLAG_BLOCKING | FLAG_POLLED);
    for (const Held* held : {&first, &second}) {
      end_blocking(held->fd);
      limit(held->fd, 20);
    }
    for (int i = 0; i < 2; ++i) {
      REQUIRE(refusal(first.fd) == ECONNABORTED);
      REQUIRE(refusal(second.fd) == ECONNABORTED);
      REQUIRE(refusal(first.fd) == EAGAIN);
      REQUIRE(refusal(second.fd) == EAGAIN);
      pollfd wanted{first.fd.get(), POLLIN, 0};
      REQUIRE(::poll(&wanted, 1, 0) == 0);
    }
  }));
}

TEST_CASE("accept: a connection that another worker has taken sends the thread back to its epoll") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING | FLAG_EPOLLED);
    end_blocking(held.fd);
    REQUIRE(refusal(held.fd) == ECONNABORTED);
    REQUIRE(refusal(held.fd) == ECONNABORTED);
  }));
}

TEST_CASE("accept: a revoked listener has no connections, and its shutdown is reported") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held blocking(FLAG_BLOCKING), other;
    end_blocking(other.fd);
    const UniqueFd client = connect_to(blocking.fd);
    revoke_listeners();
    REQUIRE(refusal(other.fd) == EAGAIN);
    Caller caller([&] { return ::accept(blocking.fd.get(), nullptr, nullptr); });
    caller.await_poll();
    REQUIRE(!caller.is_over());
    REQUIRE(::shutdown(blocking.fd.get(), SHUT_RD) == 0);
    REQUIRE(caller.result() == -1);
    REQUIRE(caller.error() == EINVAL);
    REQUIRE(refusal(blocking.fd) == EINVAL);
    // The successor gets the client.
    const UniqueFd connection = UniqueFd::adopt(libc.accept(blocking.masters().get(), nullptr, nullptr));
    REQUIRE(connection);
  }));
}

TEST_CASE("accept: a thread in the kernel's accept() leaves a listener that is revoked") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
    caller.await(SYS_accept);
    revoke_listeners();
    REQUIRE(eventually([] {
      revoke_step();
      move_clock(100);
      return revoke_is_complete();
    }));
    caller.await_poll();
    const UniqueFd masters = held.masters(), client = connect_to(masters);
    pollfd there{masters.get(), POLLIN, 0};
    REQUIRE(libc.poll(&there, 1, 0) == 1);  // the client was left to the successor
    REQUIRE(!caller.is_over());
    REQUIRE(::shutdown(held.fd.get(), SHUT_RD) == 0);
    REQUIRE(caller.error() == EINVAL);
  }));
}

TEST_CASE("accept: a connection of the predecessor comes like a new one") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    adopted_begin();
    adopted_listener(held.entry);
    const UniqueFd client = connect_to(held.fd);
    adopted_put(held.cookie, accepted(held.fd).release(), 0);
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const UniqueFd connection = UniqueFd::adopt(
        ::accept4(held.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    serves(client, connection.get());
    REQUIRE(ntohs(peer.sin_port) == port_of(client));
    REQUIRE(libc.fcntl(connection.get(), F_GETFD) == FD_CLOEXEC);
    REQUIRE((libc.fcntl(connection.get(), F_GETFL) & O_NONBLOCK) != 0);
    REQUIRE(refusal(held.fd) == EAGAIN);
    REQUIRE(adopted_accepts);  // so that what comes later waits for the application
  }));
}

TEST_CASE("accept: a wait ends when a connection of the predecessor comes") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    adopted_begin();
    adopted_listener(held.entry);
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd handed_off = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
    caller.await_poll();  // in the kernel's accept() it would not notice
    adopted_put(held.cookie, libc.fcntl(handed_off.get(), F_DUPFD_CLOEXEC, 0), 0);
    serves(client, UniqueFd::adopt(static_cast<int>(caller.result())).get());
  }));
}

TEST_CASE("accept: a signal of the application ends a wait as it would end accept()") {
  for (const int flags : {0, SA_RESTART}) {
    CAPTURE(flags);
    CHECK(in_child([flags] {
      const HostedWorker worker;
      const Held held(FLAG_BLOCKING);
      end_blocking(held.fd);
      adopted_begin();
      handle(SIGUSR1, flags);
      Caller caller([&] { return ::accept(held.fd.get(), nullptr, nullptr); });
      caller.await_poll();
      caller.send(SIGUSR1);
      if (flags == 0) {
        REQUIRE(caller.result() == -1);
        REQUIRE(caller.error() == EINTR);
      } else {
        const UniqueFd client = connect_to(held.fd);
        serves(client, UniqueFd::adopt(static_cast<int>(caller.result())).get());
      }
    }));
  }
}

TEST_CASE("accept: the worker host's own signal ends no wait, with a time limit neither") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd foreign = masters_listener();
    limit(foreign, 60'000);
    handle(SIGUSR1, 0);
    Caller caller([&] { return ::accept(foreign.get(), nullptr, nullptr); });
    caller.await(SYS_accept);
    REQUIRE(interrupt_thread(caller.id()));
    const UniqueFd client = connect_to(foreign);
    serves(client, UniqueFd::adopt(static_cast<int>(caller.result())).get());
  }));
}

TEST_CASE("accept: the first one shows that the application is ready") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    readiness_enter(false);
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_ENTERED});
    REQUIRE(refusal(held.fd) == EAGAIN);
    const auto frame = worker.receive();
    REQUIRE(frame->kind == LIVESWAP_WAITS);
    REQUIRE(frame->text == std::string(reinterpret_cast<const char*>(&held.cookie), sizeof held.cookie));
    REQUIRE(refusal(held.fd) == EAGAIN);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("accept: a new connection has no flags of an earlier descriptor, and is followed") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd listener = masters_listener();
    const UniqueFd client = connect_to(listener), second = connect_to(listener);
    const int next = duplicate(listener).release();
    libc.close(next);
    fd_flags_set(next, FLAG_OWN);
    const UniqueFd connection = accepted(listener);
    REQUIRE(connection.get() == next);
    REQUIRE(fd_flags(next) == 0);
    REQUIRE(event_loop_newest == next);
    REQUIRE(!traffic_is_followed(next));
    traffic_follow();
    REQUIRE(traffic_is_followed(accepted(listener).get()));
  }));
}

TEST_CASE("accept: a forked child must not accept from the worker's listener") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    const UniqueFd own = masters_listener();
    end_blocking(own);
    REQUIRE(in_child([&] { REQUIRE(refusal(own) == EAGAIN); }));
    const int status = status_of_child([&] { accepted(held.fd); });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 1);
    pollfd report{forked_child_fd(), POLLIN, 0};
    REQUIRE(libc.poll(&report, 1, 0) == 1);
  }));
}
