// What the host knows of a descriptor's number (base/fd_flags.h), and of all of them (base/slow_path.h).
#include "../host_headers.hpp"

#include <doctest/doctest.h>

#include <climits>
#include <thread>
#include <vector>

extern "C" {
#include "worker/base/fd_flags.h"
#include "worker/base/slow_path.h"
}

namespace {

unsigned changes() { return atomic_load(&fd_flags_changes); }

}  // namespace

TEST_CASE("fd_flags: a number nothing is known of has none") {
  for (const int fd : {0, 1, 2, 4711, FD_FLAGS_MAX - 1}) CHECK(fd_flags(fd) == 0);
}

TEST_CASE("fd_flags: each flag by itself") {
  const int fd = 77;
  for (const unsigned each : {FLAG_HELD, FLAG_BLOCKING, FLAG_POLLED, FLAG_REVOKED, FLAG_HOST, FLAG_OWN,
                              FLAG_INHERITED, FLAG_HANDOFF, FLAG_EPOLLED, FLAG_SEEN}) {
    fd_flags_set(fd, each);
    CHECK(fd_flags(fd) == each);
    CHECK(fd_flags(fd - 1) == 0);
    CHECK(fd_flags(fd + 1) == 0);
  }
  fd_flags_set(fd, 0);
  CHECK(fd_flags(fd) == 0);
}

TEST_CASE("fd_flags: set replaces, add and remove leave the others") {
  const int fd = 78;
  fd_flags_set(fd, FLAG_HELD | FLAG_BLOCKING);
  fd_flags_set(fd, FLAG_HELD);
  CHECK(fd_flags(fd) == FLAG_HELD);
  fd_flags_add(fd, FLAG_POLLED | FLAG_EPOLLED);
  CHECK(fd_flags(fd) == (FLAG_HELD | FLAG_POLLED | FLAG_EPOLLED));
  fd_flags_remove(fd, FLAG_POLLED | FLAG_SEEN);
  CHECK(fd_flags(fd) == (FLAG_HELD | FLAG_EPOLLED));
  fd_flags_remove(fd, FLAG_HELD | FLAG_EPOLLED);
  CHECK(fd_flags(fd) == 0);
}

TEST_CASE("fd_flags: numbers out of range are never flagged") {
  for (const int fd : {-1, INT_MIN, int{FD_FLAGS_MAX}, FD_FLAGS_MAX + 1, INT_MAX}) {
    CAPTURE(fd);
    fd_flags_set(fd, FLAG_HELD);
    fd_flags_add(fd, FLAG_HELD);
    CHECK(fd_flags(fd) == 0);
    fd_flags_remove(fd, FLAG_HELD);
    CHECK(fd_flags(fd) == 0);
  }
  CHECK(fd_flags(FD_FLAGS_MAX - 1) == 0);
}

TEST_CASE("fd_flags: a change is counted, what changes nothing is not") {
  const int fd = 79;
  unsigned before = changes();
  fd_flags_add(fd, FLAG_SEEN);
  CHECK(changes() != before);
  before = changes();
  fd_flags_add(fd, FLAG_SEEN);
  CHECK(changes() == before);
  fd_flags_remove(fd, FLAG_HELD);
  CHECK(changes() == before);
  fd_flags_remove(fd, FLAG_SEEN);
  CHECK(changes() != before);
  before = changes();
  // The same flags may stand for another socket: who sets them says so.
  fd_flags_set(fd, 0);
  CHECK(changes() != before);
}

TEST_CASE("fd_flags: the end is behind every number that has had a flag, and never falls") {
  const auto end = [] { return atomic_load(&fd_flags_end); };
  fd_flags_set(5'000, 0);
  CHECK(end() < 5'000);
  fd_flags_set(5'000, FLAG_HELD);
  CHECK(end() == 5'001);
  fd_flags_add(6'000, FLAG_SEEN);
  CHECK(end() == 6'001);
  fd_flags_add(10, FLAG_SEEN);
  for (const int fd : {10, 5'000, 6'000}) fd_flags_set(fd, 0);
  CHECK(end() == 6'001);
  fd_flags_add(FD_FLAGS_MAX, FLAG_HELD);
  CHECK(end() == 6'001);
}

TEST_CASE("fd_flags: threads that add and remove different flags lose none of them") {
  const int fd = 80;
  std::vector<std::thread> threads;
  for (const unsigned mine : {FLAG_HELD, FLAG_POLLED, FLAG_EPOLLED, FLAG_SEEN}) {
    threads.emplace_back([mine] {
      for (int i = 0; i < 10'000; ++i) {
        fd_flags_remove(fd, mine);
        fd_flags_add(fd, mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(fd_flags(fd) == (FLAG_HELD | FLAG_POLLED | FLAG_EPOLLED | FLAG_SEEN));
  fd_flags_set(fd, 0);
}

TEST_CASE("slow path: whether it is an event loop is looked for from the start") {
  CHECK(slow_path_has(SLOW_LOOP));
  CHECK(!slow_path_has(~static_cast<unsigned>(SLOW_LOOP)));
}

TEST_CASE("slow path: any of several, and what removing says") {
  enum : unsigned { ANY = SLOW_REVOKED | SLOW_NEEDED };
  CHECK(!slow_path_has(ANY));
  slow_path_add(SLOW_NEEDED | SLOW_TRAFFIC);
  CHECK(slow_path_has(SLOW_NEEDED));
  CHECK(slow_path_has(ANY));
  CHECK(!slow_path_has(SLOW_REVOKED));
  CHECK(slow_path_remove(ANY));
  CHECK(!slow_path_remove(ANY));
  CHECK(slow_path_has(SLOW_TRAFFIC));
  CHECK(slow_path_has(SLOW_LOOP));
  slow_path_remove(SLOW_TRAFFIC);
}

TEST_CASE("slow path: of threads that remove the same, one has removed it") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> removed = 0;
    slow_path_add(SLOW_ADOPTABLE);
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { removed += slow_path_remove(SLOW_ADOPTABLE); });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(removed == 1);
  }
}
