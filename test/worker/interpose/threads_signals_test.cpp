// Calls after which the control thread has to stay, or the wakeup signal may not come
// (interpose/threads_signals.c).
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <threads.h>

extern "C" {
#include "worker/base/thread_interrupt.h"
#include "worker/control/wakeup_signal.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

bool has_to_stay() { return !control_thread_looks_for_loop(); }

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : signals) ::sigaddset(&set, number);
  return set;
}

// With the control thread as good as parked: the wakeup signal's handler is there.
struct ParkedWorker : HostedWorker {
  ParkedWorker() {
    REQUIRE(wakeup_signal_setup(channel_fd(), [] {}));
    atomic_store(&control_thread_parked, true);
  }
  // Whether the control thread was asked to come, since the signal would not reach the application.
  static bool is_asked() { return slow_path_remove(SLOW_NEEDED); }
};

void nothing(int) {}

}  // namespace

TEST_CASE("pthread_create, thrd_create: with a second thread the control thread stays") {
  CHECK(in_child([] {
    const HostedWorker worker;
    pthread_t thread;
    int given = 3;
    REQUIRE(!has_to_stay());
    REQUIRE(::pthread_create(
                &thread, nullptr,
                [](void* number) -> void* {
                  ++*static_cast<int*>(number);
                  return number;
                },
                &given) == 0);
    void* result = nullptr;
    REQUIRE(::pthread_join(thread, &result) == 0);
    REQUIRE(result == &given);
    REQUIRE(given == 4);
    REQUIRE(has_to_stay());
  }));
  CHECK(in_child([] {
    const HostedWorker worker;
    thrd_t thread;
    int given = 3;
    const thrd_start_t run = [](void* number) { return *static_cast<int*>(number) + 2; };
    REQUIRE(::thrd_create(&thread, run, &given) == thrd_success);
    int result = 0;
    REQUIRE(::thrd_join(thread, &result) == thrd_success);
    REQUIRE(result == 5);
    REQUIRE(has_to_stay());
  }));
}

TEST_CASE("prctl: before a seccomp filter the control thread stays; every argument arrives") {
  CHECK(in_child([] {
    const HostedWorker worker;
    char name[16] = "";
    REQUIRE(::prctl(PR_SET_NAME, "a-name") == 0);
    REQUIRE(::prctl(PR_GET_NAME, name) == 0);
    REQUIRE(std::string(name) == "a-name");
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    errno = 0;
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1) == -1);
    REQUIRE(errno == EINVAL);
    REQUIRE(!has_to_stay());
    REQUIRE(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) == -1);
    REQUIRE(has_to_stay());
  }));
  CHECK(in_child([] {
    const HostedWorker worker;
    REQUIRE(::syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, nullptr) == -1);
    REQUIRE(has_to_stay());
  }));
}

TEST_CASE("pthread_sigmask, sigprocmask: as libc's, with their own ways to fail") {
  CHECK(in_child([] {
    const HostedWorker worker;
    sigset_t before = set_of({});
    const sigset_t one = set_of({SIGUSR1}), other = set_of({SIGUSR2});
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &one, nullptr) == 0);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &other, &before) == 0);
    REQUIRE(::sigismember(&before, SIGUSR1) == 1);
    REQUIRE(::sigismember(&before, SIGUSR2) == 0);
    REQUIRE(::sigprocmask(SIG_UNBLOCK, &one, &before) == 0);
    REQUIRE(::sigismember(&before, SIGUSR2) == 1);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, nullptr, &before) == 0);
    REQUIRE(::sigismember(&before, SIGUSR1) == 0);
    errno = 0;
    REQUIRE(::pthread_sigmask(4711, &one, nullptr) == EINVAL);
    REQUIRE(errno == 0);
    REQUIRE(::sigprocmask(4711, &one, nullptr) == -1);
    REQUIRE(errno == EINVAL);
  }));
}

TEST_CASE("pthread_sigmask: a thread that keeps interrupts away is known") {
  CHECK(in_child([] {
    const HostedWorker worker;
    REQUIRE(interrupt_reaches());
    sigset_t all;
    ::sigfillset(&all);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &all, nullptr) == 0);
    REQUIRE(interrupt_is_blocked);
    REQUIRE(::sigprocmask(SIG_UNBLOCK, &all, nullptr) == 0);
    REQUIRE(!interrupt_is_blocked);
  }));
}

TEST_CASE("pthread_sigmask: a parked control thread comes when the wakeup signal is blocked") {
  CHECK(in_child([] {
    const ParkedWorker worker;
    const sigset_t other = set_of({SIGUSR1}), wakeup = set_of({SIGURG});
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &other, nullptr) == 0);
    REQUIRE(::pthread_sigmask(SIG_UNBLOCK, &wakeup, nullptr) == 0);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, nullptr, nullptr) == 0);
    REQUIRE(!worker.is_asked());
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &wakeup, nullptr) == 0);
    REQUIRE(worker.is_asked());
    atomic_store(&control_thread_parked, false);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &wakeup, nullptr) == 0);
    REQUIRE(!worker.is_asked());
  }));
}

TEST_CASE("sigaction, signal: a parked control thread comes when its signal has another handler") {
  CHECK(in_child([] {
    const ParkedWorker worker;
    struct sigaction action {
    }, before{};
    action.sa_handler = nothing;
    REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
    REQUIRE(::sigaction(SIGURG, nullptr, &before) == 0);
    REQUIRE(!worker.is_asked());
    REQUIRE(::sigaction(SIGURG, &action, nullptr) == 0);
    REQUIRE(worker.is_asked());
    REQUIRE(::sigaction(SIGURG, &before, &action) == 0);
    REQUIRE((action.sa_handler == nothing));
    REQUIRE(!worker.is_asked());  // the worker host's again
    REQUIRE((::signal(SIGUSR1, SIG_IGN) == nothing));
    REQUIRE(!worker.is_asked());
    REQUIRE((::signal(SIGURG, SIG_DFL) == before.sa_handler));
    REQUIRE(worker.is_asked());
    REQUIRE(::sigaction(SIGKILL, &action, nullptr) == -1);
    REQUIRE((::signal(4711, nothing) == SIG_ERR));
  }));
}
