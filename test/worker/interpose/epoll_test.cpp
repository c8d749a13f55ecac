// epoll_ctl, epoll_wait and its variants (interpose/epoll.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/eventfd.h>

extern "C" {
#include "worker/base/thread_interrupt.h"
#include "worker/takeover/adopted_connections.h"
#include "worker/takeover/epoll_lock.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

using Wait = int (*)(int epoll, epoll_event* events, int limit, const sigset_t* mask);

timespec time_of(int milliseconds) { return {milliseconds / 1000, milliseconds % 1000 * 1'000'000L}; }

const std::pair<const char*, Wait> kWaits[] = {
    {"epoll_wait", [](int epoll, epoll_event* events, int limit,
                      const sigset_t*) { return ::epoll_wait(epoll, events, 8, limit); }},
    {"epoll_pwait", [](int epoll, epoll_event* events, int limit,
                       const sigset_t* mask) { return ::epoll_pwait(epoll, events, 8, limit, mask); }},
    {"epoll_pwait2",
     [](int epoll, epoll_event* events, int limit, const sigset_t* mask) {
       const timespec time = time_of(limit);
       return ::epoll_pwait2(epoll, events, 8, limit < 0 ? nullptr : &time, mask);
     }},
};

// `body` for each of the calls, in a worker of its own.
void with_each(const std::function<void(const HostedWorker&, Wait)>& body) {
  for (const auto& [name, wait] : kWaits) {
    CAPTURE(name);
    CHECK(in_child([&body, wait = wait] {
      const HostedWorker worker;
      body(worker, wait);
    }));
  }
}

struct Event {
  UniqueFd fd = UniqueFd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  void happen() const { REQUIRE(::eventfd_write(fd.get(), 1) == 0); }
};

void nothing(int) {}

int control(const UniqueFd& epoll, int operation, const UniqueFd& fd, std::uint64_t data = 0) {
  epoll_event event{EPOLLIN, {.u64 = data}};
  return ::epoll_ctl(epoll.get(), operation, fd.get(), &event);
}

}  // namespace

TEST_CASE("epoll: what is not the master's is registered and waited for as by libc") {
  with_each([](const HostedWorker& worker, Wait wait) {
    const UniqueFd epoll = make_epoll();
    const Event one, other;
    epoll_event events[8];
    watch(epoll, one.fd.get(), 1);
    watch(epoll, other.fd.get(), 2);
    REQUIRE(wait(epoll.get(), events, 0, nullptr) == 0);
    REQUIRE(wait(epoll.get(), events, 5, nullptr) == 0);
    other.happen();
    REQUIRE(wait(epoll.get(), events, -1, nullptr) == 1);
    REQUIRE(std::uint64_t{events[0].data.u64} == 2);
    REQUIRE(control(epoll, EPOLL_CTL_ADD, one.fd) == -1);
    REQUIRE(errno == EEXIST);
    REQUIRE(control(epoll, EPOLL_CTL_DEL, other.fd) == 0);
    REQUIRE(wait(epoll.get(), events, 0, nullptr) == 0);
    REQUIRE(wait(-1, events, 0, nullptr) == -1);
    REQUIRE(errno == EBADF);
    REQUIRE(worker.kinds().empty());
  });
}

TEST_CASE("epoll: a listener that is registered is one that the application waits for") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held(FLAG_BLOCKING);
    const UniqueFd epoll = make_epoll();
    readiness_enter(false);
    worker.kinds();
    REQUIRE(control(epoll, EPOLL_CTL_MOD, held.fd) == -1);
    REQUIRE(errno == ENOENT);
    REQUIRE((fd_flags(held.fd.get()) & FLAG_EPOLLED) == 0);
    REQUIRE(!held.is_nonblocking());
    watch(epoll, held.fd.get(), 7);
    REQUIRE((fd_flags(held.fd.get()) & FLAG_EPOLLED) != 0);
    REQUIRE(held.is_nonblocking());  // no accept() after the wait may block
    REQUIRE(worker.kinds() == std::vector<std::uint32_t>{LIVESWAP_WAITS});
    const UniqueFd client = connect_to(held.fd);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{7});
    REQUIRE(control(epoll, EPOLL_CTL_DEL, held.fd) == 0);
    REQUIRE(reported(epoll).empty());
  }));
}

TEST_CASE("epoll: a connection that is being replaced is registered, and is no listener") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const UniqueFd listener = masters_listener(), epoll = make_epoll();
    const UniqueFd client = connect_to(listener);
    const UniqueFd connection = UniqueFd::adopt(libc.accept(listener.get(), nullptr, nullptr));
    readiness_enter(false);
    worker.kinds();
    fd_flags_set(connection.get(), FLAG_HANDOFF);
    watch(epoll, connection.get(), 3);
    REQUIRE(fd_flags(connection.get()) == FLAG_HANDOFF);
    REQUIRE(worker.kinds().empty());
  }));
}

TEST_CASE("epoll: registering a listener waits while the worker host replaces descriptors") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    const UniqueFd epoll = make_epoll();
    epoll_lock_begin();
    Caller caller([&] { return control(epoll, EPOLL_CTL_ADD, held.fd); });
    caller.await(SYS_futex);
    REQUIRE(!caller.is_over());
    epoll_lock_end();
    REQUIRE(caller.result() == 0);
  }));
}

TEST_CASE("epoll: a connection of the predecessor is reported with the listener's data") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    end_blocking(held.fd);
    const UniqueFd epoll = make_epoll();
    adopted_begin();
    adopted_listener(held.entry);
    watch(epoll, held.fd.get(), 9);
    const UniqueFd client = connect_to(held.fd);
    const UniqueFd handed_off = UniqueFd::adopt(libc.accept(held.fd.get(), nullptr, nullptr));
    const auto adopt = [&] { adopted_put(held.cookie, libc.fcntl(handed_off.get(), F_DUPFD_CLOEXEC, 0), 0); };
    REQUIRE(reported(epoll).empty());
    adopt();
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{9});
    REQUIRE(control(epoll, EPOLL_CTL_MOD, held.fd, 10) == 0);
    REQUIRE(reported(epoll) == std::vector<std::uint64_t>{10});
    REQUIRE(UniqueFd::adopt(::accept(held.fd.get(), nullptr, nullptr)));
    REQUIRE(reported(epoll).empty());
    REQUIRE(control(epoll, EPOLL_CTL_DEL, held.fd) == 0);
    adopt();
    REQUIRE(reported(epoll).empty());
  }));
}

TEST_CASE("epoll: the worker host's signal does not end a wait, the application's does") {
  with_each([](const HostedWorker&, Wait wait) {
    const UniqueFd epoll = make_epoll();
    const Event event;
    watch(epoll, event.fd.get(), 1);
    epoll_event events[8];
    ::signal(SIGUSR1, nothing);
    sigset_t none;
    ::sigemptyset(&none);
    const sigset_t* const masks[] = {nullptr, &none};
    for (const sigset_t* const mask : masks) {
      Caller caller([&] { return wait(epoll.get(), events, 60'000, mask); });
      caller.await_poll();
      for (int i = 0; i < 2; ++i) {
        REQUIRE(interrupt_thread(caller.id()));
        caller.await_poll();
      }
      event.happen();
      REQUIRE(caller.result() == 1);
      eventfd_t count = 0;
      REQUIRE(::eventfd_read(event.fd.get(), &count) == 0);
      Caller other([&] { return wait(epoll.get(), events, -1, mask); });
      other.await_poll();
      other.send(SIGUSR1);
      REQUIRE(other.result() == -1);
      REQUIRE(other.error() == EINTR);
    }
  });
}

TEST_CASE("epoll: a wait that the worker host interrupts ends at its own time limit") {
  with_each([](const HostedWorker&, Wait wait) {
    const UniqueFd epoll = make_epoll();
    const auto began = std::chrono::steady_clock::now();
    Caller caller([&] {
      epoll_event events[8];
      return wait(epoll.get(), events, 80, nullptr);
    });
    while (!caller.is_over()) {
      interrupt_thread(caller.id());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    REQUIRE(caller.result() == 0);
    REQUIRE(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(80));
  });
}

TEST_CASE("epoll: each wait is a safe point") {
  with_each([](const HostedWorker&, Wait wait) {
    const UniqueFd epoll = make_epoll();
    epoll_event events[8];
    wake_if_parked();
    REQUIRE(wait(epoll.get(), events, 0, nullptr) == 0);
    REQUIRE(!slow_path_has(SLOW_NEEDED));
  });
}

TEST_CASE("epoll: with a mask that keeps the wakeup signal away the control thread stays") {
  for (const auto& [name, wait] : kWaits) {
    if (std::string(name) == "epoll_wait") continue;
    CAPTURE(name);
    CHECK(in_child([wait = wait] {
      const HostedWorker worker;
      const UniqueFd epoll = make_epoll();
      epoll_event events[8];
      sigset_t mask;
      ::sigemptyset(&mask);
      libc.pthread_create = [](pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) { return 0; };
      atomic_store(&control_thread_parked, true);
      REQUIRE(wait(epoll.get(), events, 0, &mask) == 0);
      REQUIRE(control_thread_is_parked());
      ::sigaddset(&mask, SIGURG);
      REQUIRE(wait(epoll.get(), events, 0, &mask) == 0);
      REQUIRE(!control_thread_is_parked());
      REQUIRE(!control_thread_looks_for_loop());
    }));
  }
}

TEST_CASE("epoll: a forked child must not wait for the worker's listener") {
  CHECK(in_child([] {
    const HostedWorker worker;
    const Held held;
    const UniqueFd own = masters_listener();
    REQUIRE(in_child([&] { REQUIRE(control(make_epoll(), EPOLL_CTL_ADD, own) == 0); }));
    const int status = status_of_child([&] { control(make_epoll(), EPOLL_CTL_ADD, held.fd); });
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 1);
  }));
}
