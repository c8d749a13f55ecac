#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "base/unique_fd.hpp"

namespace liveswap::verify {

// Handles SIGINT, SIGTERM and SIGHUP while cleanup is required: they do not end the process, but are
// recorded, end every wait and call the handler. Construct before starting threads, so that all threads have
// the signals blocked. Later signals have no effect; the cleanup has time limits.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The number of the received signal; 0: none.
  int number() const { return number_; }

  // At the first signal, the thread of this object calls `handler` once. If a signal has already come, the
  // calling thread calls it now. Waits while the previous handler runs. Empty: no handler.
  void set_handler(std::function<void()> handler);

  // Polls `condition`. False: limit or signal came first.
  bool wait(std::chrono::milliseconds limit, const std::function<bool()>& condition) const;

  // Sleeps. False: a signal came.
  bool pause(std::chrono::milliseconds time) const;

  // Exits by the received signal, so that the shell sees the signal as the cause.
  [[noreturn]] void die() const;

 private:
  void watch();

  UniqueFd signals_;
  UniqueFd stop_;   // ends the thread
  UniqueFd woken_;  // readable after a signal
  std::atomic<int> number_ = 0;
  std::mutex mutex_;
  std::function<void()> handler_;
  std::thread thread_;
};

}  // namespace liveswap::verify
