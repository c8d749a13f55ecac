#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <uv.h>

#include <chrono>
#include <thread>

namespace liveswap::test {

// A loop that the test runs. Its handles must be closed before its destruction.
class TestLoop {
 public:
  TestLoop() { REQUIRE(uv_loop_init(&loop_) == 0); }
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;
  ~TestLoop() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }
  operator uv_loop_t&() { return loop_; }
  // Runs the loop until the condition holds; false: it did not hold within twenty seconds.
  template <class Condition>
  bool until(Condition condition) {
    for (int i = 0; i < 20'000 && !condition(); ++i) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      if (!condition()) ::poll(nullptr, 0, 1);
    }
    return condition();
  }
  void once() { uv_run(&loop_, UV_RUN_NOWAIT); }
  // As if the process had not run for a while: what has happened meanwhile waits for the loop.
  static void stall(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }
  // Whether a timer is active.
  bool has_timer() { return uv_backend_timeout(&loop_) >= 0 && uv_loop_alive(&loop_) != 0; }

 private:
  uv_loop_t loop_;
};

}  // namespace liveswap::test
