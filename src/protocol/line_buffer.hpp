#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace liveswap::protocol {

// A line of the control protocol, with its newline, is never longer than this.
inline constexpr std::size_t line_limit = 64 * 1024;

// Cuts a stream of bytes into lines. Holds at most one line's worth of bytes beyond what a single append brings.
class LineBuffer {
 public:
  void append(std::string_view bytes) { bytes_ += bytes; }

  // The next whole line without its newline (nor a carriage return before it), or nothing yet.
  std::optional<std::string> next();

  // True when what waits can no longer become a line within the limit. The connection is then beyond repair.
  bool too_long() const;

 private:
  std::string bytes_;
};

}  // namespace liveswap::protocol
