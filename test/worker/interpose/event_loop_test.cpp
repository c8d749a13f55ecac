// Whether the application is an event loop (interpose/event_loop.h).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <sys/select.h>

extern "C" {
#include "worker/interpose/event_loop.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

enum { CONNECTION = 40, OTHER = 41 };

// Whether the worker host knows by now that it is one.
bool is_known() { return !control_thread_looks_for_loop(); }

void check(void (*body)()) {
  CHECK(in_child([body] { body(); }));
}

}  // namespace

TEST_CASE("event loop: without a connection nothing is looked for, as after its end") {
  check([] {
    const HostedWorker worker;
    REQUIRE(control_thread_looks_for_loop());
    REQUIRE(!event_loop_is_looked_for());
    event_loop_accepts(CONNECTION);
    REQUIRE(event_loop_is_looked_for());
    event_loop_closes(OTHER);
    REQUIRE(event_loop_is_looked_for());
    event_loop_closes(CONNECTION);
    REQUIRE(!event_loop_is_looked_for());
  });
}

TEST_CASE("event loop: a thread that polls its newest connection is one") {
  check([] {
    const HostedWorker worker;
    event_loop_accepts(CONNECTION);
    const pollfd others[] = {{OTHER, POLLIN, 0}, {-1, POLLIN, 0}};
    event_loop_polls(others, 2);
    event_loop_polls(others, 0);
    REQUIRE(!is_known());
    const pollfd fds[] = {{OTHER, POLLIN, 0}, {CONNECTION, POLLOUT, 0}};
    event_loop_polls(fds, 2);
    REQUIRE(is_known());
    REQUIRE(slow_path_has(SLOW_NEEDED));  // the control thread is told, to park in time
    REQUIRE(!event_loop_is_looked_for());
  });
}

TEST_CASE("event loop: a thread that selects its newest connection is one, in any set") {
  for (int which = 0; which < 3; ++which) {
    CAPTURE(which);
    CHECK(in_child([which] {
      const HostedWorker worker;
      event_loop_accepts(CONNECTION);
      fd_set set, other;
      FD_ZERO(&set);
      FD_ZERO(&other);
      FD_SET(OTHER, &other);
      FD_SET(CONNECTION, &set);
      fd_set* sets[3] = {nullptr, nullptr, nullptr};
      event_loop_selects(OTHER + 1, sets);
      sets[which] = &other;
      event_loop_selects(OTHER + 1, sets);
      sets[which] = &set;
      event_loop_selects(CONNECTION, sets);  // beyond the width
      REQUIRE(!is_known());
      event_loop_selects(CONNECTION + 1, sets);
      REQUIRE(is_known());
    }));
  }
}

TEST_CASE("event loop: a thread that has registered its newest connection and waits in epoll is one") {
  check([] {
    const HostedWorker worker;
    event_loop_accepts(CONNECTION);
    event_loop_epolls();
    event_loop_registers(OTHER);
    event_loop_epolls();
    REQUIRE(!is_known());
    event_loop_registers(CONNECTION);
    REQUIRE(!is_known());
    event_loop_epolls();
    REQUIRE(is_known());
  });
}

TEST_CASE("event loop: a registration counts for its connection only, and for its thread only") {
  check([] {
    const HostedWorker worker;
    event_loop_accepts(CONNECTION);
    event_loop_registers(CONNECTION);
    // By libc's call, which does not count as a second thread of the application.
    pthread_t thread;
    const auto run = [](void*) -> void* {
      event_loop_epolls();
      return nullptr;
    };
    REQUIRE(libc.pthread_create(&thread, nullptr, run, nullptr) == 0);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    REQUIRE(!is_known());
    event_loop_accepts(OTHER);
    event_loop_epolls();
    REQUIRE(!is_known());
  });
}

TEST_CASE("event loop: the calls of a server with epoll show it; of one that serves in turn, they do not") {
  check([] {
    const HostedWorker worker;
    const UniqueFd listener = masters_listener(), epoll = make_epoll();
    const UniqueFd client = connect_to(listener), second = connect_to(listener);
    UniqueFd connection = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
    epoll_event event{EPOLLIN, {}};
    REQUIRE(::epoll_wait(epoll.get(), &event, 1, 0) == 0);
    connection.reset();
    REQUIRE(event_loop_newest == -1);
    REQUIRE(!is_known());
    connection = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
    watch(epoll, connection.get(), 1);
    REQUIRE(!is_known());
    REQUIRE(::epoll_wait(epoll.get(), &event, 1, 0) == 0);
    REQUIRE(is_known());
  });
}

TEST_CASE("event loop: so do those of servers with poll, ppoll, select and pselect") {
  const std::function<void(int)> waits[] = {[](int fd) {
                                              pollfd wanted{fd, POLLIN, 0};
                                              ::poll(&wanted, 1, 0);
                                            },
                                            [](int fd) {
                                              pollfd wanted{fd, POLLIN, 0};
                                              const timespec none{};
                                              ::ppoll(&wanted, 1, &none, nullptr);
                                            },
                                            [](int fd) {
                                              fd_set set;
                                              FD_ZERO(&set);
                                              FD_SET(fd, &set);
                                              timeval none{};
                                              ::select(fd + 1, &set, nullptr, nullptr, &none);
                                            },
                                            [](int fd) {
                                              fd_set set;
                                              FD_ZERO(&set);
                                              FD_SET(fd, &set);
                                              const timespec none{};
                                              ::pselect(fd + 1, nullptr, &set, nullptr, &none, nullptr);
                                            }};
  for (const auto& wait : waits) {
    CHECK(in_child([&wait] {
      const HostedWorker worker;
      const UniqueFd listener = masters_listener();
      const UniqueFd client = connect_to(listener);
      const UniqueFd connection = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
      wait(listener.get());
      REQUIRE(!is_known());
      wait(connection.get());
      REQUIRE(is_known());
    }));
  }
}
