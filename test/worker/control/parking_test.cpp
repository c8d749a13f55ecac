// When the control thread exits, and what brings it back (control/parking.h). The test plays the control
// thread where it says so; elsewhere it is a real one.
#include "../hosted_worker.hpp"

#include <doctest/doctest.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/syscall.h>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/holds.h"
#include "worker/base/clock.h"
#include "worker/control/control_thread.h"
#include "worker/control/wakeup_signal.h"
#include "worker/link/inbox.h"
#include "worker/retire/linger.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

enum { QUIET_MS = 500, CHILD_REST_MS = 10'000, LONG_MS = 1'000'000 };

volatile sig_atomic_t signals = 0;

// Threads of the worker host that were to be started; they are not.
int started = 0;

int count_thread(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) {
  ++started;
  return 0;
}

int refuse_thread(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) { return EAGAIN; }

// An event loop that is ready. Its control thread is played by the test: no other is started.
struct Loop : HostedWorker {
  Loop() {
    stop_clock();
    signals = started = 0;
    REQUIRE(holds_setup());
    REQUIRE(linger_setup());
    REQUIRE(wakeup_signal_setup(channel_fd(), [] { signals = signals + 1; }));
    libc.pthread_create = count_thread;
    control_thread_put_off();
    liveswap_ready();
    control_thread_note_loop();
    wake_clear();
    slow_path_remove(SLOW_NEEDED);
    kinds();
  }
  // As the control thread, which has waited for that long.
  bool parks_after(std::int64_t milliseconds) const {
    bool is_parked = false;
    // The process has two threads then, as with the control thread. By the kernel's call, which nothing
    // counts.
    pthread_t thread;
    struct Given {
      std::int64_t milliseconds;
      bool* is_parked;
    } given{milliseconds, &is_parked};
    const auto run = [](void* of) -> void* {
      const auto* const mine = static_cast<Given*>(of);
      pollfd waited_for[] = {{channel_fd(), POLLIN, 0}, {wake_fd(), POLLIN, 0}};
      // pthread_create() blocks all signals of its caller for a moment.
      unsigned long argument = 0;
      eventually([&] {
        const long call = proc_self_call(::getpid(), &argument);
        return call == SYS_futex || call == SELF_CALL_UNKNOWN;
      });
      move_clock(mine->milliseconds);
      *mine->is_parked = control_thread_park(waited_for, 2);
      return nullptr;
    };
    REQUIRE(real_create(&thread, nullptr, run, &given) == 0);
    REQUIRE(::pthread_join(thread, nullptr) == 0);
    return is_parked;
  }
  decltype(libc.pthread_create) real_create = libc.pthread_create;
};

bool never_parks() { return control_thread_due() == -1; }

void block(int number) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, number);
  REQUIRE(libc.pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
}

}  // namespace

TEST_CASE("parking: only an event loop that is ready parks, half a second after something has happened") {
  CHECK(in_child([] {
    const HostedWorker worker;
    stop_clock();
    control_thread_put_off();
    REQUIRE(control_thread_due() == -1);
    liveswap_ready();
    REQUIRE(control_thread_due() == -1);
    control_thread_note_loop();
    REQUIRE(control_thread_due() == clock_ms() + QUIET_MS);
    move_clock(300);
    REQUIRE(control_thread_due() == clock_ms() + QUIET_MS - 300);
    control_thread_put_off();
    REQUIRE(control_thread_due() == clock_ms() + QUIET_MS);
    drain_order(-1);
    REQUIRE(control_thread_due() == -1);
  }));
}

TEST_CASE("parking: an event loop wakes the control thread once, when it has shown itself") {
  CHECK(in_child([] {
    const HostedWorker worker;
    REQUIRE(control_thread_looks_for_loop());
    pollfd wakes{wake_fd(), POLLIN, 0};
    for (const int events : {1, 0}) {
      control_thread_note_loop();
      REQUIRE(!control_thread_looks_for_loop());
      REQUIRE(libc.poll(&wakes, 1, 0) == events);
      wake_clear();
    }
  }));
}

TEST_CASE("parking: quiet for long enough, it parks, and a frame of the master is signalled then") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(!worker.parks_after(QUIET_MS - 1));
    REQUIRE(!control_thread_is_parked());
    REQUIRE(worker.parks_after(1));
    REQUIRE(control_thread_is_parked());
    REQUIRE(signals == 0);
    worker.send({.kind = LIVESWAP_COUNT});
    REQUIRE(eventually([] { return signals > 0; }));
  }));
}

TEST_CASE("parking: with work at hand it does not park, and asks again after a while") {
  const std::function<void(Loop&)> works[] = {
      [](Loop& worker) { worker.send({.kind = LIVESWAP_COUNT}); }, [](Loop&) { wake_control_thread(); },
      [](Loop&) {
        static open_request waiting;
        open_requests_add(&waiting);
      },
      [](Loop&) {
        const UniqueFd listener = masters_listener();
        static UniqueFd client = connect_to(listener);
        REQUIRE(liveswap_close_lingering(libc.accept(listener.get(), nullptr, nullptr)) == 0);
      }};
  for (const auto& work : works) {
    CHECK(in_child([&work] {
      Loop worker;
      work(worker);
      REQUIRE(!worker.parks_after(QUIET_MS));
      REQUIRE(!control_thread_is_parked());
      REQUIRE(control_thread_due() == clock_ms() + QUIET_MS);
      REQUIRE((libc.fcntl(channel_fd(), F_GETFL) & O_ASYNC) == 0);
    }));
  }
}

TEST_CASE("parking: an application of two threads keeps the control thread for good") {
  CHECK(in_child([] {
    const Loop worker;
    std::atomic<bool> is_over = false;
    {
      pthread_t second;
      REQUIRE(worker.real_create(
                  &second, nullptr,
                  [](void* over) -> void* {
                    while (!*static_cast<std::atomic<bool>*>(over)) ::usleep(1000);
                    return nullptr;
                  },
                  &is_over) == 0);
      REQUIRE(!worker.parks_after(QUIET_MS));
      is_over = true;
      REQUIRE(::pthread_join(second, nullptr) == 0);
    }
    REQUIRE(never_parks());
    REQUIRE(!worker.parks_after(QUIET_MS));
  }));
}

TEST_CASE("parking: an application that the wakeup signal would not reach keeps the control thread") {
  const std::function<void()> ways[] = {[] { block(SIGURG); }, [] { libc.signal(SIGURG, SIG_DFL); },
                                        [] { options_set_seccomp(true); }};
  for (const auto& way : ways) {
    CHECK(in_child([&way] {
      const Loop worker;
      way();
      REQUIRE(!worker.parks_after(QUIET_MS));
      REQUIRE(never_parks());
    }));
  }
}

TEST_CASE("parking: an application with an io_uring keeps the control thread") {
  CHECK(in_child([] {
    const Loop worker;
    io_uring_params parameters{};
    // By libc's: syscall() would keep the control thread by itself.
    if (libc.syscall(SYS_io_uring_setup, 2, &parameters) < 0) return;
    REQUIRE(!worker.parks_after(QUIET_MS));
    REQUIRE(never_parks());
  }));
}

TEST_CASE("parking: as long as there is a forked child it does not park, and seldom looks for one") {
  CHECK(in_child([] {
    const Loop worker;
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    REQUIRE(!worker.parks_after(QUIET_MS));
    REQUIRE(control_thread_due() == clock_ms() + CHILD_REST_MS + QUIET_MS);
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    REQUIRE(!worker.parks_after(CHILD_REST_MS));
    REQUIRE(worker.parks_after(QUIET_MS));
  }));
}

TEST_CASE("unpark: a safe point starts a parked control thread, once, and keeps errno") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(control_thread_unpark());
    REQUIRE(started == 0);
    REQUIRE(worker.parks_after(QUIET_MS));
    safe_point(nullptr);
    REQUIRE(started == 0);  // nothing wants it
    wake_if_parked();
    errno = ENOSPC;
    safe_point(nullptr);
    REQUIRE(errno == ENOSPC);
    REQUIRE(started == 1);
    REQUIRE(!control_thread_is_parked());
    REQUIRE(!slow_path_has(SLOW_NEEDED));
    REQUIRE((libc.fcntl(channel_fd(), F_GETFL) & O_ASYNC) == 0);
    wake_if_parked();
    safe_point(nullptr);
    REQUIRE(started == 1);
    REQUIRE(!slow_path_has(SLOW_NEEDED));
  }));
}

TEST_CASE("unpark: with every signal blocked meanwhile, and the mask as it was") {
  CHECK(in_child([] {
    static sigset_t inside;
    const Loop worker;
    block(SIGUSR2);
    REQUIRE(worker.parks_after(QUIET_MS));
    libc.pthread_create = [](pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) {
      libc.pthread_sigmask(SIG_SETMASK, nullptr, &inside);
      return 0;
    };
    REQUIRE(control_thread_unpark());
    REQUIRE(::sigismember(&inside, SIGTERM) == 1);
    sigset_t after;
    REQUIRE(libc.pthread_sigmask(SIG_SETMASK, nullptr, &after) == 0);
    REQUIRE(::sigismember(&after, SIGTERM) == 0);
    REQUIRE(::sigismember(&after, SIGUSR2) == 1);
  }));
}

TEST_CASE("unpark: where no thread can be started, the next safe points try again, and the signal comes") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(worker.parks_after(QUIET_MS));
    libc.pthread_create = refuse_thread;
    errno = ENOSPC;
    REQUIRE(!control_thread_unpark());
    REQUIRE(errno == ENOSPC);
    REQUIRE(control_thread_is_parked());
    REQUIRE(slow_path_has(SLOW_NEEDED));
    REQUIRE(eventually([] { return signals > 0; }));
    libc.pthread_create = count_thread;
    safe_point(nullptr);
    REQUIRE(started == 1);
    REQUIRE(!control_thread_is_parked());
  }));
}

TEST_CASE("unpark: a forked child has no control thread and starts none") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(worker.parks_after(QUIET_MS));
    REQUIRE(in_child([] {
      wake_if_parked();
      REQUIRE(control_thread_unpark());
      control_thread_stay();
      control_thread_recheck_signal();
      REQUIRE(started == 0);
      REQUIRE(control_thread_is_parked());
    }));
  }));
}

TEST_CASE("stay: a parked control thread comes, and does not park again") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(worker.parks_after(QUIET_MS));
    control_thread_stay();
    REQUIRE(started == 1);
    REQUIRE(!control_thread_is_parked());
    REQUIRE(never_parks());
    control_thread_stay();
    REQUIRE(started == 1);
    REQUIRE(!worker.parks_after(QUIET_MS));
  }));
}

TEST_CASE("stay: where no thread can be started, the next safe point tries again") {
  CHECK(in_child([] {
    const Loop worker;
    REQUIRE(worker.parks_after(QUIET_MS));
    libc.pthread_create = refuse_thread;
    control_thread_stay();
    REQUIRE(control_thread_is_parked());
    libc.pthread_create = count_thread;
    safe_point(nullptr);
    REQUIRE(started == 1);
    REQUIRE(never_parks());
  }));
}

TEST_CASE("safe point: a wait whose mask keeps the signal away needs the control thread, if it is parked") {
  CHECK(in_child([] {
    const Loop worker;
    sigset_t open, closed;
    ::sigemptyset(&open);
    ::sigfillset(&closed);
    safe_point(&closed);
    REQUIRE(!never_parks());
    REQUIRE(worker.parks_after(QUIET_MS));
    safe_point(&open);
    REQUIRE(control_thread_is_parked());
    safe_point(&closed);
    REQUIRE(started == 1);
    REQUIRE(never_parks());
  }));
}

TEST_CASE("recheck: a parked control thread comes at the next safe point when the signal cannot come") {
  CHECK(in_child([] {
    const Loop worker;
    block(SIGURG);
    control_thread_recheck_signal();
    REQUIRE(!slow_path_has(SLOW_NEEDED));  // it is there
    sigset_t none;
    ::sigemptyset(&none);
    REQUIRE(libc.pthread_sigmask(SIG_SETMASK, &none, nullptr) == 0);
    REQUIRE(worker.parks_after(QUIET_MS));
    control_thread_recheck_signal();
    REQUIRE(!slow_path_has(SLOW_NEEDED));
    block(SIGURG);
    control_thread_recheck_signal();
    REQUIRE(slow_path_has(SLOW_NEEDED));
    safe_point(nullptr);
    REQUIRE(started == 1);
  }));
}

namespace {

// With a control thread of its own.
struct Running : HostedWorker {
  explicit Running(mode what = MODE_WORKER, std::int64_t limit = LONG_MS) {
    options.mode = what;
    options.drain_limit_ms = limit;
    REQUIRE(holds_setup());
    REQUIRE(inbox_setup());
    REQUIRE(linger_setup());
    REQUIRE(control_thread_setup());
    frames_entered();
    ::signal(SIGTERM, SIG_DFL);
    REQUIRE(control_thread_begin(&options));
  }
  void park() const {
    liveswap_ready();
    control_thread_note_loop();
    REQUIRE(eventually([] { return control_thread_is_parked(); }));
    kinds();
  }
  bool hears(std::uint32_t kind) const {
    return eventually([&] {
      const auto frame = receive();
      return frame.has_value() && frame->kind == kind;
    });
  }
};

}  // namespace

TEST_CASE("parking: the control thread exits, and a frame brings it back at the next safe point") {
  CHECK(in_child([] {
    const Running worker;
    worker.send({.kind = LIVESWAP_MESSAGE, .value = 1}, "one");
    REQUIRE(worker.hears(LIVESWAP_TAKEN));
    worker.park();
    REQUIRE(eventually([] { return proc_self_count_threads() == 1; }));
    worker.send({.kind = LIVESWAP_MESSAGE, .value = 2}, "two");
    REQUIRE(eventually([] { return slow_path_has(SLOW_NEEDED); }));
    REQUIRE(!worker.receive().has_value());
    safe_point(nullptr);
    REQUIRE(worker.hears(LIVESWAP_TAKEN));
    REQUIRE(eventually([] { return control_thread_is_parked(); }));  // and again
  }));
}

TEST_CASE("parking: when the master has died, a worker that passes no safe point is ended") {
  const int status = status_of_child([] {
    Running worker(MODE_WORKER, 0);
    worker.park();
    worker.die();
    for (;;) ::pause();
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
}

TEST_CASE("parking: when the master has died, the drain limit is waited for") {
  CHECK(in_child([] {
    Running worker;
    worker.park();
    worker.die();
    REQUIRE(eventually([] { return slow_path_has(SLOW_NEEDED); }));
    REQUIRE(control_thread_is_parked());
    safe_point(nullptr);
    REQUIRE(eventually([] { return drain_is_on(); }));
    REQUIRE(drain_deadline() > clock_ms() + LONG_MS / 2);
  }));
}

TEST_CASE("parking: in a check or a pre-upgrade plugin the control thread stays") {
  for (const mode what : {MODE_CHECK, MODE_PRE_UPGRADE}) {
    CHECK(in_child([what] {
      const Running worker(what);
      REQUIRE(never_parks());
    }));
  }
}
