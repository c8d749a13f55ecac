#pragma once

#include <uv.h>

namespace liveswap::master {

// The master's own loop. The default loop may be in use by a program that embeds liveswap.
class OwnLoop {
 public:
  OwnLoop();
  OwnLoop(const OwnLoop&) = delete;
  OwnLoop& operator=(const OwnLoop&) = delete;
  ~OwnLoop() {
    if (!usable_) return;
    // Runs the close callbacks of handles that were closed before.
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  bool usable() const { return usable_; }
  uv_loop_t& get() { return loop_; }

 private:
  uv_loop_t loop_;
  bool usable_;
};

}  // namespace liveswap::master
