#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/terminal.hpp"

// `liveswap status --watch` but for the clock and the terminal. Pure.
namespace liveswap::cli {

// What is to be said of the master beside its status, from one look to the next.
class MasterWatch {
 public:
  using Time = std::chrono::milliseconds;

  // The master answered; `process` is its id. Empty while it is the one that was there from the first look
  // on.
  std::string there(std::int64_t process, Time now);
  // It did not, for the reason `why`.
  std::string gone(const std::string& why, Time now);

 private:
  std::optional<std::int64_t> process_;
  std::optional<Time> gone_since_;
  std::optional<Time> back_since_;
  Time away_{0};
};

// Text that replaces what is on a terminal, without a moment in which it is empty: each line is written over
// the one before and erased behind its end. No line is longer than the screen is wide, and there are no more
// than fit; where some are left out the last line says how many.
std::string frame(const std::string& text, const Screen& screen);

}  // namespace liveswap::cli
