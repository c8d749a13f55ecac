#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace liveswap::protocol {

// A command, with its newline, is never longer than this.
inline constexpr std::size_t line_limit = 64 * 1024;

// An answer or event, with its newline; a receipt of a thousand slots is the longest.
inline constexpr std::size_t answer_limit = 16 * 1024 * 1024;

// Cuts a stream of bytes into lines. Holds at most one line's worth of bytes beyond what a single append
// brings.
class LineBuffer {
 public:
  explicit LineBuffer(std::size_t limit = line_limit) : limit_(limit) {}

  void append(std::string_view bytes) { bytes_ += bytes; }

  // The next whole line without its newline (nor a carriage return before it), or nothing yet.
  std::optional<std::string> next();

  // True when what waits can no longer become a line within the limit. The connection is then beyond repair.
  bool too_long() const;

 private:
  std::size_t limit_;
  std::string bytes_;
  std::size_t scanned_ = 0;  // no newline before that
};

}  // namespace liveswap::protocol
