#pragma once

#include <functional>
#include <utility>

#include "master/uv/loop.hpp"

namespace liveswap::master {

// The second half of a flip. New connections already go to the staged sockets. The old workers must still
// accept the connections that wait in the old sockets, and are told to drain after that.
class PendingFlip {
 public:
  // The flip is completed after this time even if no worker accepts the connections, or a handshake never
  // ends.
  static constexpr Milliseconds limit{3'000};
  static constexpr Milliseconds look_interval{5};

  // `waiting` counts the connections in the old sockets. `done` is called once for each begin(): when no
  // connection waits, perhaps within begin(), or after the limit.
  PendingFlip(uv_loop_t& loop, std::function<std::size_t()> waiting, std::function<void()> done)
      : waiting_(std::move(waiting)), done_(std::move(done)), timer_(loop) {}

  void begin() {
    began_ = now();
    look();
  }

 private:
  void look() {
    if (waiting_() == 0 || now() - began_ >= limit) done_();
    else timer_.start(look_interval, [this] { look(); });
  }

  std::function<std::size_t()> waiting_;
  std::function<void()> done_;
  Milliseconds began_{0};
  Timer timer_;
};

}  // namespace liveswap::master
