#pragma once

#include <functional>
#include <utility>

#include "master/uv/loop.hpp"
#include "master/uv/now.hpp"

namespace liveswap::master {

// A flip that waits: new connections go to the staged sockets already, and the old workers must accept what
// the kernel had given to the old sockets before they are told to drain.
class PendingFlip {
 public:
  // Connections that no worker accepts, and handshakes that never end, do not hold up a flip for longer.
  static constexpr Milliseconds limit{3'000};
  static constexpr Milliseconds look_interval{5};

  // `waiting` counts the connections in the old sockets. `done` is called once for each begin(), when nothing
  // waits or the limit has passed; at once where nothing waits.
  PendingFlip(uv_loop_t& loop, std::function<std::size_t()> waiting, std::function<void()> done)
      : waiting_(std::move(waiting)), done_(std::move(done)), timer_(loop) {}

  void begin() {
    began_ = now();
    look();
  }

 private:
  void look() {
    if (waiting_() == 0 || now() - began_ >= limit)
      done_();
    else
      timer_.start(look_interval, [this] { look(); });
  }

  std::function<std::size_t()> waiting_;
  std::function<void()> done_;
  Milliseconds began_{0};
  Timer timer_;
};

}  // namespace liveswap::master
