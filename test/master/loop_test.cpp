// The border between libuv and the master.
#include "master/uv/loop.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

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

TEST_CASE("loop: a timer is not due before its delay has passed, also where the loop's time is old") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  Milliseconds began{0}, due{0};
  {
    Timer timer(loop);
    // The loop has read its time before this.
    std::this_thread::sleep_for(Milliseconds{50});
    began = now();
    timer.start(Milliseconds{30}, [&] { due = now(); });
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
  CHECK(due - began >= Milliseconds{30});
}
