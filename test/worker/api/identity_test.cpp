// Who a worker is (api/identity.h), and how many requests it says it has answered (api/served.h).
#include "../host_headers.hpp"
#include "../in_child.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "liveswap_plugin.h"

extern "C" {
#include "worker/api/identity.h"
#include "worker/api/served.h"
}

using namespace liveswap::test;

namespace {

options worker(char* path) {
  options made{};
  made.mode = MODE_WORKER, made.path = path, made.slot = 3, made.generation = 12;
  return made;
}

bool is_named(const options& self, const std::string& expected) {
  bool is_so = false;
  is_so = in_child([&] {
    char name[17] = {};
    identity_assume(&self);
    REQUIRE(::prctl(PR_GET_NAME, name) == 0);
    REQUIRE(std::string(name) == expected);
  });
  return is_so;
}

}  // namespace

TEST_CASE("identity: what it was given") {
  char path[] = "/lib/app.so", one[] = "one";
  char* words[] = {path, one, nullptr};
  options self = worker(path);
  self.arguments = words, self.argument_count = 2;
  CHECK(in_child([&] {
    identity_assume(&self);
    REQUIRE(liveswap_slot() == 3);
    REQUIRE(liveswap_generation() == 12);
    REQUIRE(liveswap_argc() == 2);
    REQUIRE(liveswap_argv() == words);
    REQUIRE(liveswap_argv()[2] == nullptr);
  }));
}

TEST_CASE(
    "identity: the name that ps shows, by what it is, without folder and ending, as long as there is room") {
  char path[] = "/opt/lib/app.v1.so", plain[] = "app", long_path[] = "/a-very-long-name.so", empty[] = "/";
  options self = worker(path);
  CHECK(is_named(self, "lsw:3/12 app"));
  self.path = plain;
  CHECK(is_named(self, "lsw:3/12 app"));
  self.path = empty;
  CHECK(is_named(self, "lsw:3/12 "));
  self.path = long_path;
  CHECK(is_named(self, "lsw:3/12 a-very"));
  self.slot = 2'000'000'000, self.generation = UINT64_MAX;
  CHECK(is_named(self, "lsw:2000000000/"));
  self.path = path, self.slot = -1;
  self.mode = MODE_PRE_UPGRADE;
  CHECK(is_named(self, "lsw:pre-upgrade"));
  self.mode = MODE_CHECK;
  CHECK(is_named(self, "lsw:check app"));
}

TEST_CASE("served: none before the first") {
  CHECK(in_child([] {
    REQUIRE(served_count().served == 0);
    REQUIRE(served_count().failed == 0);
  }));
}

TEST_CASE("served: those that failed are served too") {
  CHECK(in_child([] {
    for (int i = 0; i < 3; ++i) liveswap_served(0);
    for (const int failed : {1, -1}) liveswap_served(failed);
    REQUIRE(served_count().served == 5);
    REQUIRE(served_count().failed == 2);
  }));
}

TEST_CASE("served: by many threads none is lost, and never have more failed than were served") {
  enum { THREADS = 4, EACH = 50'000 };
  const liveswap_served_count before = served_count();
  std::vector<std::thread> threads;
  for (int i = 0; i < THREADS; ++i) {
    threads.emplace_back([i] {
      for (int n = 0; n < EACH; ++n) liveswap_served(i % 2);
    });
  }
  liveswap_served_count now{};
  do {
    const liveswap_served_count last = now;
    now = served_count();
    REQUIRE(now.failed <= now.served);
    REQUIRE(now.served >= last.served);
  } while (now.served - before.served < THREADS * EACH);
  for (std::thread& thread : threads) thread.join();
  CHECK(served_count().failed - before.failed == THREADS / 2 * EACH);
}
