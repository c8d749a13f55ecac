// The signal that reaches an application while the control thread is parked (control/wakeup_signal.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>

extern "C" {
#include "worker/base/libc.h"
#include "worker/base/thread_interrupt.h"
#include "worker/control/wakeup_signal.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int> received = 0;
sigset_t mask_in_handler;
Clock::time_point times[16];

void note() {
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_in_handler);
  if (received < 16) times[received] = Clock::now();
  ++received;
  errno = EXDEV;  // which the application must not see
}

void note_and_repeat() {
  note();
  wakeup_signal_repeat();
}

struct Worker : UnitWorker {
  explicit Worker(void (*call)() = note) {
    set_clock_back();
    received = 0;
    REQUIRE(wakeup_signal_setup(channel_fd(), call));
  }
  // The master sends a frame.
  void wake() const { send({.kind = LIVESWAP_COUNT}); }
};

bool comes(int count) {
  return eventually([count] { return received >= count; });
}

sigset_t set_of(int number) {
  sigset_t set;
  ::sigemptyset(&set);
  if (number != 0) ::sigaddset(&set, number);
  return set;
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  REQUIRE(::sigaction(SIGURG, &action, nullptr) == 0);
}

}  // namespace

TEST_CASE("wakeup signal: the handler counts, with every signal blocked, and keeps errno") {
  CHECK(in_child([] {
    const Worker worker;
    const unsigned before = interrupt_count();
    errno = ENOSPC;
    REQUIRE(::raise(SIGURG) == 0);
    REQUIRE(errno == ENOSPC);
    REQUIRE(received == 1);
    REQUIRE(interrupt_count() == before + 1);
    for (const int number : {SIGTERM, SIGUSR1, SIGURG, SIGALRM})
      REQUIRE(::sigismember(&mask_in_handler, number) == 1);
    struct sigaction action {};
    REQUIRE(::sigaction(SIGURG, nullptr, &action) == 0);
    REQUIRE((action.sa_flags & SA_RESTART) != 0);
  }));
}

TEST_CASE("wakeup signal: from arm to disarm, each frame of the master is signalled") {
  CHECK(in_child([] {
    const Worker worker;
    worker.wake();
    REQUIRE(received == 0);
    REQUIRE(wakeup_signal_arm());
    REQUIRE(received == 0);  // what has come before is no new frame
    worker.wake();
    REQUIRE(comes(1));
    worker.wake();
    REQUIRE(comes(2));
    wakeup_signal_disarm();
    const int so_far = received;
    worker.wake();
    REQUIRE((libc.fcntl(channel_fd(), F_GETFL) & O_ASYNC) == 0);
    REQUIRE(received == so_far);
    REQUIRE(wakeup_signal_arm());  // again
    worker.wake();
    REQUIRE(comes(so_far + 1));
  }));
}

TEST_CASE("wakeup signal: the end of the master is signalled too") {
  CHECK(in_child([] {
    Worker worker;
    REQUIRE(wakeup_signal_arm());
    worker.die();
    REQUIRE(comes(1));
  }));
}

TEST_CASE("wakeup signal: it goes to the first thread") {
  CHECK(in_child([] {
    static std::atomic<pid_t> who = 0;
    const Worker worker([] {
      who = ::gettid();
      received = received + 1;
    });
    std::thread([] { REQUIRE(wakeup_signal_arm()); }).join();
    worker.wake();
    REQUIRE(comes(1));
    REQUIRE(who == ::getpid());
    who = 0;
    std::thread([] { wakeup_signal_repeat(); }).join();
    REQUIRE(comes(2));
    REQUIRE(who == ::getpid());
  }));
}

TEST_CASE("wakeup signal: repeated, it comes after 1 ms, 2 ms, 4 ms and so on") {
  CHECK(in_child([] {
    const Worker worker(note_and_repeat);
    const Clock::time_point began = Clock::now();
    wakeup_signal_repeat();
    REQUIRE(comes(6));
    wakeup_signal_disarm();
    Clock::time_point before = began;
    for (int i = 0; i < 6; ++i) {
      REQUIRE(times[i] - before >= std::chrono::milliseconds(1 << i));
      before = times[i];
    }
  }));
}

TEST_CASE("wakeup signal: disarmed, it comes no more, and begins with 1 ms again") {
  CHECK(in_child([] {
    const Worker worker(note_and_repeat);
    wakeup_signal_repeat();
    REQUIRE(comes(4));
    wakeup_signal_disarm();
    const int so_far = received;
    std::this_thread::sleep_for(std::chrono::milliseconds(40));  // twice the delay that it had come to
    REQUIRE(received == so_far);
    // By the delays: the next six together take less than the next one would take without the disarm.
    wakeup_signal_repeat();
    REQUIRE(comes(so_far + 2));
  }));
}

TEST_CASE("wakeup signal: a poll ends, and another wait goes on by itself") {
  CHECK(in_child([] {
    const Worker worker;
    std::thread([] {}).join();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const UniqueFd out = UniqueFd::adopt(ends[0]), in = UniqueFd::adopt(ends[1]);
    wakeup_signal_repeat();
    pollfd wanted{out.get(), POLLIN, 0};
    errno = 0;
    REQUIRE(libc.poll(&wanted, 1, -1) == -1);
    REQUIRE(errno == EINTR);
    std::thread writer([&] {
      comes(3);
      (void)!libc.write(in.get(), "x", 1);
    });
    for (int i = 0; i < 2; ++i) wakeup_signal_repeat();
    std::thread repeater([] {
      while (received < 3) {
        wakeup_signal_disarm();
        wakeup_signal_repeat();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
    char byte = 0;
    const ssize_t size = libc.read(out.get(), &byte, 1);
    writer.join();
    repeater.join();
    REQUIRE(size == 1);
    REQUIRE(received >= 3);
  }));
}

TEST_CASE("wakeup signal: whether it would reach the thread") {
  CHECK(in_child([] {
    const sigset_t none = set_of(0), urgent = set_of(SIGURG), other = set_of(SIGUSR1);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    REQUIRE(!wakeup_signal_is_deliverable());  // nothing is installed
    REQUIRE(!wakeup_signal_is_deliverable_with(0));
    const Worker worker;
    REQUIRE(wakeup_signal_is_deliverable());
    REQUIRE(wakeup_signal_is_deliverable_with(0));
    REQUIRE(wakeup_signal_is_deliverable_with(~(1ULL << (SIGURG - 1))));
    REQUIRE(!wakeup_signal_is_deliverable_with(1ULL << (SIGURG - 1)));
    ::pthread_sigmask(SIG_SETMASK, &urgent, nullptr);
    REQUIRE(!wakeup_signal_is_deliverable());
    REQUIRE(wakeup_signal_is_deliverable_with(0));  // another thread's mask
    ::pthread_sigmask(SIG_SETMASK, &other, nullptr);
    REQUIRE(wakeup_signal_is_deliverable());
    for (void (*const handler)(int) : {SIG_DFL, SIG_IGN, +[](int) {}}) {
      handle(handler);
      REQUIRE(!wakeup_signal_is_deliverable());
      REQUIRE(!wakeup_signal_is_deliverable_with(0));
    }
  }));
}

TEST_CASE("wakeup signal: its number, and masks that have it") {
  const sigset_t none = set_of(0), urgent = set_of(SIGURG), other = set_of(SIGUSR1);
  CHECK(wakeup_signal_is(SIGURG));
  CHECK_FALSE(wakeup_signal_is(SIGUSR1));
  CHECK_FALSE(wakeup_signal_is(0));
  CHECK(wakeup_signal_is_blocked(&urgent));
  CHECK_FALSE(wakeup_signal_is_blocked(&none));
  CHECK_FALSE(wakeup_signal_is_blocked(&other));
}

TEST_CASE("wakeup signal: without a channel it cannot be armed") {
  CHECK(in_child([] {
    const UnitWorker worker;
    REQUIRE(wakeup_signal_setup(-1, note));
    REQUIRE(!wakeup_signal_arm());
    wakeup_signal_disarm();
  }));
}
