#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/progress.hpp"
#include "cli/terminal.hpp"

namespace liveswap::cli {

// The progress bar of an upgrade on the terminal. Its own thread updates the elapsed time, while the client's
// thread blocks waiting for events. The destructor erases the bar.
class LiveBar {
 public:
  explicit LiveBar(std::string options);  // as for Progress
  ~LiveBar();
  LiveBar(const LiveBar&) = delete;
  LiveBar& operator=(const LiveBar&) = delete;

  // Handles an event. Prints a line above the bar for trouble.
  void take(const std::string& json);
  // Prints a line above the bar.
  void keep(const std::string& line);

 private:
  void keep_line(const std::string& line);
  void draw();
  void tick(const std::stop_token& stop);

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::mutex mutex_;  // guards everything below
  std::condition_variable_any stopped_;
  Progress progress_;
  Terminal terminal_;
  std::jthread ticker_;
};

}  // namespace liveswap::cli
