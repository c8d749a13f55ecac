#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"

namespace liveswap::verify {

// Ctrl-C and its like, while something runs that has to be cleared away: SIGINT, SIGTERM and SIGHUP do not
// end the process but are remembered, end every wait, and call the handler. Make it before any other thread:
// those that start later leave the signals to it. Further signals change nothing; clearing away has limits of
// its own.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The number of the signal that came; 0: none.
  int number() const { return number_; }

  // Called once, on another thread, when a signal comes or has come; empty: nothing. Returns when no earlier
  // handler runs any more.
  void set_handler(std::function<void()> handler);

  // Looks every few milliseconds whether `condition` holds. False when the limit or a signal came first.
  bool wait(std::chrono::milliseconds limit, const std::function<bool()>& condition) const;

  // For times in which something is measured. False when a signal came.
  bool pause(std::chrono::milliseconds time) const;

  // Ends the process as the signal would have, so that the caller's shell sees it.
  [[noreturn]] void die() const;

 private:
  void watch();

  UniqueFd signals_;
  UniqueFd stop_;   // ends the thread
  UniqueFd woken_;  // readable once a signal has come
  std::atomic<int> number_ = 0;
  std::mutex mutex_;
  std::function<void()> handler_;
  std::thread thread_;
};

}  // namespace liveswap::verify
