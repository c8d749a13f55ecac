#include "master/sockets/pending_flip.hpp"

#include "test_loop.hpp"

using namespace liveswap::master;
using liveswap::test::TestLoop;

TEST_CASE("pending flip: done when nothing waits in the old sockets any more") {
  TestLoop loop;
  std::size_t waiting = 2;
  unsigned done = 0;
  PendingFlip flip(
      loop, [&] { return waiting; }, [&] { ++done; });
  flip.begin();
  unsigned looks = 0;
  Timer other(loop);
  other.start(3 * PendingFlip::look_interval, [&] { ++looks; });
  REQUIRE(loop.until([&] { return looks == 1; }));
  CHECK(done == 0);
  waiting = 0;
  REQUIRE(loop.until([&] { return done == 1; }));
  CHECK_FALSE(loop.has_timer());
  flip.begin();
  CHECK(done == 2);
}

TEST_CASE("pending flip: a connection that no worker accepts holds it up for its limit") {
  TestLoop loop;
  unsigned done = 0;
  PendingFlip flip(
      loop, [] { return std::size_t{1}; }, [&] { ++done; });
  const auto began = now();
  flip.begin();
  REQUIRE(loop.until([&] { return done == 1; }));
  CHECK(now() - began >= PendingFlip::limit);
}
