// The order to drain (api/drain.h) and what the contract says of it. Each in a child: it is given once.
#include "../fake_clock.hpp"
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/drain.h"
#include "worker/base/clock.h"
#include "worker/base/fd_flags.h"
#include "worker/base/slow_path.h"
}

using namespace liveswap::test;

namespace {

enum { WITHOUT_LIMIT_MS = 30'000, SLACK_MS = 5'000 };

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1;
}

// The machine may be slow, the clock is not: what is left is a little less than it was.
bool is_about(std::int64_t found, std::int64_t expected) {
  return found <= expected && found > expected - SLACK_MS;
}

}  // namespace

TEST_CASE("drain: before the order") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    REQUIRE(!drain_is_on());
    REQUIRE(drain_deadline() == -1);
    REQUIRE(drain_age_ms() == -1);
    REQUIRE(drain_patience_ms() == WITHOUT_LIMIT_MS);
    REQUIRE(!drain_is_cooperative());
    REQUIRE(liveswap_draining() == 0);
    REQUIRE(liveswap_drain_left_ms() == -1);
    REQUIRE(!is_readable(liveswap_drain_fd()));
  }));
}

TEST_CASE("drain: its descriptor is the host's, and closed on exec") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    const int fd = liveswap_drain_fd();
    REQUIRE(fd_flags(fd) == FLAG_HOST);
    REQUIRE((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }));
}

TEST_CASE("drain: with a limit") {
  CHECK(in_child([] {
    enum { LIMIT_MS = 1'000'000 };
    REQUIRE(drain_setup());
    const std::int64_t before = clock_ms();
    drain_order(LIMIT_MS);
    REQUIRE(drain_is_on());
    REQUIRE(liveswap_draining() == 1);
    REQUIRE(drain_deadline() >= before + LIMIT_MS);
    REQUIRE(is_about(liveswap_drain_left_ms(), LIMIT_MS));
    REQUIRE(drain_patience_ms() == LIMIT_MS / 2);
    move_clock(400'000);
    REQUIRE(drain_age_ms() >= 400'000);
    REQUIRE(drain_age_ms() < 400'000 + SLACK_MS);
    REQUIRE(is_about(liveswap_drain_left_ms(), 600'000));
    // How patient it is depends on the limit alone, not on what is left of it.
    REQUIRE(drain_patience_ms() == LIMIT_MS / 2);
    move_clock(LIMIT_MS);
    REQUIRE(liveswap_drain_left_ms() == 0);
    REQUIRE(drain_is_on());
  }));
}

TEST_CASE("drain: its descriptor stays readable for ever") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    drain_order(100);
    for (int i = 0; i < 3; ++i) REQUIRE(is_readable(liveswap_drain_fd()));
    drain_order(-1);
    REQUIRE(is_readable(liveswap_drain_fd()));
  }));
}

TEST_CASE("drain: without a limit") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    drain_order(-1);
    REQUIRE(drain_is_on());
    REQUIRE(drain_deadline() == -1);
    REQUIRE(liveswap_drain_left_ms() == -1);
    REQUIRE(drain_patience_ms() == WITHOUT_LIMIT_MS);
    move_clock(1'000'000'000);
    REQUIRE(liveswap_drain_left_ms() == -1);
    REQUIRE(drain_age_ms() >= 1'000'000'000);
  }));
}

TEST_CASE("drain: a limit of nothing has passed at once") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    drain_order(0);
    REQUIRE(drain_is_on());
    REQUIRE(liveswap_drain_left_ms() == 0);
    REQUIRE(drain_patience_ms() == 0);
    REQUIRE(drain_deadline() <= clock_ms());
  }));
}

TEST_CASE("drain: a later order replaces the limit, from then on, and the drain is as old as it was") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    drain_order(1000);
    move_clock(100'000);
    REQUIRE(liveswap_drain_left_ms() == 0);
    drain_order(500'000);
    REQUIRE(is_about(liveswap_drain_left_ms(), 500'000));
    REQUIRE(drain_age_ms() >= 100'000);
    REQUIRE(drain_patience_ms() >= (100'000 + 500'000) / 2);
    drain_order(-1);
    REQUIRE(liveswap_drain_left_ms() == -1);
    REQUIRE(drain_is_on());
    drain_order(1000);
    REQUIRE(is_about(liveswap_drain_left_ms(), 1000));
    REQUIRE(drain_age_ms() >= 100'000);
  }));
}

TEST_CASE("drain: an application that asks by any of the three functions drains by itself") {
  for (const int which : {0, 1, 2}) {
    CHECK(in_child([which] {
      REQUIRE(drain_setup());
      slow_path_add(SLOW_TRAFFIC);
      REQUIRE(!drain_is_cooperative());
      drain_order(1000);
      REQUIRE(!drain_is_cooperative());
      if (which == 0) liveswap_drain_fd();
      if (which == 1) liveswap_draining();
      if (which == 2) liveswap_drain_left_ms();
      REQUIRE(drain_is_cooperative());
      // Of one that drains by itself nobody asks what its answers are.
      REQUIRE(!slow_path_has(SLOW_TRAFFIC));
      REQUIRE(slow_path_has(SLOW_LOOP));
    }));
  }
}

TEST_CASE("drain: what the host itself asks makes it nobody's") {
  CHECK(in_child([] {
    REQUIRE(drain_setup());
    drain_order(1000);
    drain_is_on();
    drain_deadline();
    drain_age_ms();
    drain_patience_ms();
    REQUIRE(!drain_is_cooperative());
  }));
}
