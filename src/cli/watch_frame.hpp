#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/terminal.hpp"

// The parts of `liveswap status --watch` that need neither clock nor terminal. Pure.
namespace liveswap::cli {

// Notes about the master's availability, from one query to the next.
class MasterWatch {
 public:
  using Time = std::chrono::milliseconds;

  // The master answered; `process` is its pid. Empty as long as the first master runs without interruption.
  std::string answered(std::int64_t process, Time now);
  // The master did not answer; `why` is the reason.
  std::string unreachable(const std::string& why, Time now);

 private:
  std::optional<std::int64_t> process_;
  std::optional<Time> gone_since_;
  std::optional<Time> back_since_;
  Time away_{0};
};

// Escape sequences that overwrite the terminal line by line, without flicker. Truncates lines to the screen
// width and leaves out lines beyond its height; the last line then tells how many.
std::string frame(const std::string& text, const Screen& screen);

}  // namespace liveswap::cli
