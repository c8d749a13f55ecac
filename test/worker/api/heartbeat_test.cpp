// Heartbeats of the application (api/heartbeat.h).
#include "../unit_worker.hpp"

#include <doctest/doctest.h>

#include <cerrno>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/heartbeat.h"
}

using namespace liveswap;
using namespace liveswap::test;

TEST_CASE("heartbeat: none is wanted without the option") {
  CHECK(in_child([] {
    const UnitWorker worker;
    REQUIRE(liveswap_heartbeat() == -1);
    REQUIRE(!worker.receive());
  }));
}

TEST_CASE(
    "heartbeat: one frame in half the time that the master wants; the result says when the next is due") {
  CHECK(in_child([] {
    const UnitWorker worker;
    heartbeat_setup(1'000);
    errno = ENOTTY;
    REQUIRE(liveswap_heartbeat() == 500);
    REQUIRE(errno == ENOTTY);
    const auto beat = worker.receive();
    REQUIRE(beat->kind == LIVESWAP_HEARTBEAT);
    REQUIRE(beat->value == 1'000);
    move_clock(200);
    REQUIRE(liveswap_heartbeat() == 300);
    REQUIRE(!worker.receive());
    move_clock(300);
    REQUIRE(liveswap_heartbeat() == 500);
    REQUIRE(worker.receive()->kind == LIVESWAP_HEARTBEAT);
  }));
}

TEST_CASE("heartbeat: a very short time still leaves the loop time to sleep") {
  CHECK(in_child([] {
    const UnitWorker worker;
    heartbeat_setup(1);
    REQUIRE(liveswap_heartbeat() == 1);
  }));
}
