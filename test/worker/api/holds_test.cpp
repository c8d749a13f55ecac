// What keeps a worker whose liveswap_main has returned (api/holds.h). Each in a child: a drain is never taken
// back.
#include "../fake_clock.hpp"
#include "../host_headers.hpp"
#include "../in_child.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/drain.h"
#include "worker/api/holds.h"
#include "worker/base/clock.h"
#include "worker/base/proc_self.h"
}

using namespace liveswap::test;

namespace {

void set_up() {
  REQUIRE(proc_self_setup());
  REQUIRE(drain_setup());
  REQUIRE(holds_setup());
}

// A thread in holds_wait().
class Leaving {
 public:
  ~Leaving() { thread_.join(); }
  // It waits in the kernel, or is through.
  bool waits() const {
    unsigned long argument = 0;
    for (;;) {
      if (is_over_) return false;
      const long call = id_ != 0 ? proc_self_call(id_, &argument) : long{SELF_CALL_RUNNING};
      if (call == SYS_futex || call == SELF_CALL_UNKNOWN) return !is_over_;
      std::this_thread::yield();
    }
  }
  void ends() const {
    while (!is_over_) std::this_thread::yield();
  }

 private:
  std::atomic<int> id_ = 0;
  std::atomic<bool> is_over_ = false;
  std::thread thread_{[this] {
    id_ = ::gettid();
    holds_wait();
    is_over_ = true;
  }};
};

}  // namespace

TEST_CASE("holds: counted apart, and together they hold") {
  CHECK(in_child([] {
    set_up();
    REQUIRE(holds_none());
    liveswap_hold();
    REQUIRE(!holds_none());
    holds_linger_began();
    liveswap_release();
    REQUIRE(!holds_none());
    holds_linger_ended();
    REQUIRE(holds_none());
  }));
}

TEST_CASE("holds: as many releases as holds") {
  CHECK(in_child([] {
    set_up();
    for (int i = 0; i < 3; ++i) liveswap_hold();
    for (int i = 0; i < 2; ++i) liveswap_release();
    REQUIRE(!holds_none());
    liveswap_release();
    REQUIRE(holds_none());
  }));
}

TEST_CASE("holds: a release without a hold is ignored") {
  CHECK(in_child([] {
    set_up();
    liveswap_release();
    holds_linger_ended();
    REQUIRE(holds_none());
    liveswap_hold();
    REQUIRE(!holds_none());
    // Nor is one kind released by the other.
    holds_linger_ended();
    REQUIRE(!holds_none());
    liveswap_release();
    REQUIRE(holds_none());
  }));
}

TEST_CASE("holds: with none, nobody waits, whether it drains or not") {
  CHECK(in_child([] {
    set_up();
    holds_wait();
    drain_order(-1);
    holds_wait();
  }));
}

TEST_CASE("holds: a worker that has failed does not wait for the application's") {
  CHECK(in_child([] {
    set_up();
    liveswap_hold();
    const std::int64_t began = clock_ms();
    holds_wait();
    REQUIRE(clock_ms() - began < LINGER_LIMIT_MS);
  }));
}

TEST_CASE("holds: a worker that has failed waits for what lingers, to its end") {
  CHECK(in_child([] {
    set_up();
    for (int i = 0; i < 2; ++i) holds_linger_began();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    holds_linger_ended();
    REQUIRE(leaving.waits());
    holds_linger_ended();
    leaving.ends();
  }));
}

TEST_CASE("holds: what lingers is waited for no longer than a client may take") {
  CHECK(in_child([] {
    set_up();
    holds_linger_began();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    move_clock(LINGER_LIMIT_MS);
    holds_review();
    leaving.ends();
    REQUIRE(!holds_none());
  }));
}

TEST_CASE("holds: in a drain without a limit the application's are waited for, to the last") {
  CHECK(in_child([] {
    set_up();
    drain_order(-1);
    for (int i = 0; i < 2; ++i) liveswap_hold();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    move_clock(1'000'000'000);
    holds_review();
    REQUIRE(leaving.waits());
    liveswap_release();
    REQUIRE(leaving.waits());
    liveswap_release();
    leaving.ends();
  }));
}

TEST_CASE("holds: the drain limit ends the wait") {
  CHECK(in_child([] {
    set_up();
    const std::int64_t began = clock_ms();
    drain_order(50);
    liveswap_hold();
    holds_wait();
    // By the monotonic clock: the same number on the realtime clock would be over for long.
    REQUIRE(clock_ms() - began >= 50);
    REQUIRE(!holds_none());
    holds_wait();
  }));
}

TEST_CASE("holds: the drain limit holds for what lingers too, longer than without") {
  CHECK(in_child([] {
    set_up();
    drain_order(1'000'000);
    holds_linger_began();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    move_clock(2 * LINGER_LIMIT_MS);
    holds_review();
    REQUIRE(leaving.waits());
    move_clock(1'000'000);
    holds_review();
    leaving.ends();
  }));
}

TEST_CASE("holds: a new limit is seen by who waits already") {
  CHECK(in_child([] {
    set_up();
    drain_order(-1);
    liveswap_hold();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    drain_order(0);
    holds_review();
    leaving.ends();
  }));
}

TEST_CASE("holds: told to drain while something lingers, the application's count as well") {
  CHECK(in_child([] {
    set_up();
    liveswap_hold();
    holds_linger_began();
    const Leaving leaving;
    REQUIRE(leaving.waits());
    drain_order(-1);
    holds_review();
    holds_linger_ended();
    REQUIRE(leaving.waits());
    liveswap_release();
    leaving.ends();
  }));
}
