// The border between libuv and the master.
#include "master/uv/loop.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace liveswap::master;

TEST_CASE("loop: what a callback throws ends nothing") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  bool went_on = false;
  {
    Timer first(loop), second(loop), third(loop);
    first.start(Milliseconds{0}, [] { throw std::runtime_error("of a library"); });
    second.start(Milliseconds{1}, [] { throw 1; });
    third.start(Milliseconds{2}, [&] { went_on = true; });
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
  CHECK(went_on);
}
