// What the master learns of when a worker is ready (api/readiness.h): the frames, and their order. Each in a
// child, for a process becomes ready once.
#include "../host_headers.hpp"
#include "../in_child.hpp"
#include "../master_end.hpp"
#include "../sockets.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/listeners.h"
#include "worker/api/readiness.h"
#include "worker/base/fd_flags.h"
#include "worker/base/wake.h"
}

using namespace liveswap;
using namespace liveswap::test;

namespace {

struct Said {
  std::uint32_t kind;
  std::int64_t value;  // of WAITS: the cookie
  bool operator==(const Said&) const = default;
};

// The master of a process that is to become ready.
struct Master : MasterEnd {
  Master() {
    REQUIRE(adopt());
    REQUIRE(wake_setup());
  }
  std::vector<Said> said() const {
    std::vector<Said> all;
    while (const auto frame = receive()) {
      std::uint64_t cookie = 0;
      if (frame->kind == LIVESWAP_WAITS) std::memcpy(&cookie, frame->text.data(), sizeof cookie);
      all.push_back(
          {frame->kind, frame->kind == LIVESWAP_WAITS ? static_cast<std::int64_t>(cookie) : frame->value});
    }
    return all;
  }
  // Nothing but this has been said since last time.
  bool heard(const std::vector<Said>& expected) const { return said() == expected; }
};

Said waits(const UniqueFd& fd) { return {LIVESWAP_WAITS, static_cast<std::int64_t>(cookie_of(fd.get()))}; }

const Said kEntered{LIVESWAP_ENTERED, 0}, kEnteredDeferred{LIVESWAP_ENTERED, 1}, kReady{LIVESWAP_READY, 0},
    kDeferred{LIVESWAP_DEFERRED, 1}, kAwaits{LIVESWAP_DEFERRED, 0};

UniqueFd held_listener() {
  UniqueFd fd = listen_inet();
  REQUIRE(listeners_add(fd.get()));
  return fd;
}

}  // namespace

TEST_CASE("readiness: entered, with the application's note or without") {
  CHECK(in_child([] {
    const Master master;
    REQUIRE(!readiness_needs_scan());
    readiness_enter(false);
    REQUIRE(master.heard({kEntered}));
    REQUIRE(!readiness_is_shown());
    REQUIRE(readiness_is_watched());
    REQUIRE(readiness_needs_scan());
  }));
  CHECK(in_child([] {
    const Master master;
    readiness_enter(true);
    REQUIRE(master.heard({kEnteredDeferred}));
    // It says itself when it is: looking tells nothing.
    REQUIRE(!readiness_needs_scan());
  }));
}

TEST_CASE("readiness: what a constructor says comes behind the entry, as deferred and then ready") {
  CHECK(in_child([] {
    const Master master;
    liveswap_ready();
    REQUIRE(master.heard({}));
    readiness_enter(false);
    REQUIRE(master.heard({kEnteredDeferred, kReady}));
    liveswap_ready();
    REQUIRE(master.heard({}));
  }));
  CHECK(in_child([] {
    const Master master;
    liveswap_defer_ready();
    REQUIRE(master.heard({}));
    readiness_enter(false);
    REQUIRE(master.heard({kEnteredDeferred}));
  }));
  CHECK(in_child([] {
    const Master master;
    readiness_await();
    REQUIRE(readiness_is_awaited());
    REQUIRE(master.heard({}));
    readiness_enter(false);
    REQUIRE(master.heard({kEntered, kAwaits}));
  }));
  CHECK(in_child([] {
    const Master master;
    readiness_await();
    liveswap_defer_ready();
    liveswap_ready();
    readiness_enter(true);
    REQUIRE(master.heard({kEnteredDeferred, kReady}));
  }));
}

TEST_CASE("readiness: only the first call counts") {
  CHECK(in_child([] {
    const Master master;
    readiness_enter(false);
    REQUIRE(master.heard({kEntered}));
    for (int i = 0; i < 2; ++i) liveswap_defer_ready();
    REQUIRE(master.heard({kDeferred}));
    REQUIRE(!readiness_is_shown());
    for (int i = 0; i < 2; ++i) liveswap_ready();
    REQUIRE(master.heard({kReady}));
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("readiness: once it is ready, deferring does nothing") {
  CHECK(in_child([] {
    const Master master;
    readiness_enter(false);
    liveswap_ready();
    liveswap_defer_ready();
    REQUIRE(master.heard({kEntered, kReady}));
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("readiness: about to bind a listener, it is ready when it waits") {
  CHECK(in_child([] {
    const Master master;
    readiness_enter(false);
    REQUIRE(!readiness_is_awaited());
    for (int i = 0; i < 2; ++i) readiness_await();
    REQUIRE(master.heard({kEntered, kAwaits}));
    REQUIRE(readiness_is_awaited());
    REQUIRE(!readiness_is_shown());
  }));
}

TEST_CASE("readiness: one that says itself when it is ready is not waited for otherwise") {
  CHECK(in_child([] {
    const Master master;
    readiness_enter(true);
    readiness_await();
    REQUIRE(master.heard({kEnteredDeferred}));
  }));
}

TEST_CASE("readiness: binding one more after it is ready changes nothing") {
  CHECK(in_child([] {
    const Master master;
    readiness_enter(false);
    liveswap_ready();
    readiness_await();
    REQUIRE(master.heard({kEntered, kReady}));
    REQUIRE(readiness_is_awaited());
  }));
}

TEST_CASE("readiness: each listener is told of when it is first seen waited for") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd one = held_listener(), other = held_listener();
    const UniqueFd duplicate = UniqueFd::adopt(::dup(one.get()));
    readiness_enter(false);
    readiness_expect(listeners_find(other.get()));
    REQUIRE(master.heard({kEntered}));
    readiness_seen(one.get());
    REQUIRE(master.heard({waits(one)}));
    REQUIRE((fd_flags(one.get()) & FLAG_SEEN) != 0);
    REQUIRE(readiness_is_shown());
    readiness_seen(one.get());
    readiness_seen(duplicate.get());
    REQUIRE(master.heard({}));
    readiness_seen(other.get());
    REQUIRE(master.heard({waits(other)}));
  }));
}

TEST_CASE("readiness: after it is ready a listener is still told of, as long as one is expected") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd one = held_listener(), other = held_listener(), third = held_listener();
    readiness_enter(false);
    readiness_expect(listeners_find(one.get()));
    readiness_expect(listeners_find(other.get()));
    liveswap_ready();
    REQUIRE(readiness_is_watched());
    readiness_seen(one.get());
    readiness_seen(other.get());
    REQUIRE(master.heard({kEntered, kReady, waits(one), waits(other)}));
    // From here on its calls cost no more than libc's.
    REQUIRE(!readiness_is_watched());
    readiness_seen(third.get());
    REQUIRE(master.heard({}));
    readiness_expect(listeners_find(third.get()));
    REQUIRE(readiness_is_watched());
    readiness_seen(third.get());
    REQUIRE(master.heard({waits(third)}));
  }));
}

TEST_CASE("readiness: one that is expected and closed again is not waited for") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd one = held_listener();
    readiness_enter(false);
    readiness_expect(listeners_find(one.get()));
    liveswap_ready();
    REQUIRE(readiness_is_watched());
    listeners_closed(listeners_find(one.get()));
    readiness_review();
    REQUIRE(!readiness_is_watched());
  }));
}

TEST_CASE("readiness: what is no held listener, or does not listen yet, tells nothing") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd foreign = listen_inet();
    const UniqueFd bound = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(listeners_add(bound.get()));
    readiness_enter(false);
    REQUIRE(master.heard({kEntered}));
    for (const int fd : {foreign.get(), bound.get(), 0, -1}) {
      readiness_seen(fd);
      REQUIRE((fd_flags(fd) & FLAG_SEEN) == 0);
    }
    REQUIRE(master.heard({}));
    REQUIRE(!readiness_is_shown());
    REQUIRE(::listen(bound.get(), 1) == 0);
    readiness_seen(bound.get());
    REQUIRE(master.heard({waits(bound)}));
  }));
}

TEST_CASE("readiness: a socket for datagrams is waited for without listening") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd datagrams = listen_inet(INADDR_LOOPBACK, SOCK_DGRAM);
    REQUIRE(listeners_add(datagrams.get()));
    readiness_enter(false);
    readiness_seen(datagrams.get());
    REQUIRE(master.heard({kEntered, waits(datagrams)}));
  }));
}

TEST_CASE("readiness: before the entry nothing is seen") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd one = held_listener();
    REQUIRE(!readiness_is_watched());
    readiness_seen(one.get());
    REQUIRE(master.heard({}));
    readiness_enter(false);
    readiness_seen(one.get());
    REQUIRE(master.heard({kEntered, waits(one)}));
  }));
}

TEST_CASE("readiness: of one that says itself, waiting is told but makes it not ready") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd one = held_listener();
    readiness_enter(false);
    liveswap_defer_ready();
    readiness_seen(one.get());
    REQUIRE(master.heard({kEntered, kDeferred, waits(one)}));
    REQUIRE(!readiness_is_shown());
    liveswap_ready();
    REQUIRE(master.heard({kReady}));
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("readiness: a listener that stays the application's own counts as one") {
  CHECK(in_child([] {
    const Master master;
    const UniqueFd own = listen_inet();
    readiness_enter(false);
    REQUIRE(!readiness_own_is_noted());
    readiness_note_own(cookie_of(own.get()));
    REQUIRE(master.heard({kEntered, waits(own)}));
    REQUIRE(readiness_own_is_noted());
    REQUIRE(readiness_is_shown());
  }));
}

TEST_CASE("readiness: threads that see the same listener tell of it once") {
  CHECK(in_child([] {
    const Master master;
    std::vector<UniqueFd> listeners;
    std::vector<Said> expected{kEntered};
    for (int i = 0; i < 20; ++i) {
      listeners.push_back(held_listener());
      readiness_expect(listeners_find(listeners.back().get()));
    }
    readiness_enter(false);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (const UniqueFd& each : listeners) readiness_seen(each.get());
      });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(master.said().size() == 1 + listeners.size());
    REQUIRE(!readiness_is_watched());
  }));
}
