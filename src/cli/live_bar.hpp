#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/progress.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

// The bar of an upgrade on the terminal. The client blocks while it waits for events, so a thread of its own
// lets the time go on. Gone from the terminal when this has been destroyed.
class LiveBar {
 public:
  explicit LiveBar(std::string options);  // as of Progress
  ~LiveBar();
  LiveBar(const LiveBar&) = delete;
  LiveBar& operator=(const LiveBar&) = delete;

  // Trouble is kept above the bar.
  void take(const std::string& json);
  // A line that is kept above the bar.
  void keep(const std::string& line);

 private:
  void keep_line(const std::string& line);
  void draw();
  void tick(const std::stop_token& stop);

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;  // guards all below
  std::condition_variable_any stopped_;
  Progress progress_;
  Terminal terminal_;
  std::jthread ticker_;
};

}  // namespace liveswap::cli
