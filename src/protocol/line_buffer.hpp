#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace liveswap::protocol {

// Maximum size in bytes of a command, newline included.
inline constexpr std::size_t line_limit = 64 * 1024;

// Maximum size in bytes of an answer or event, newline included; the longest is a receipt of 1024 slots.
inline constexpr std::size_t answer_limit = 16 * 1024 * 1024;

// Splits a byte stream into lines. Holds at most one incomplete line besides the bytes of the last append().
class LineBuffer {
 public:
  explicit LineBuffer(std::size_t limit = line_limit) : limit_(limit) {}

  void append(std::string_view bytes) { bytes_ += bytes; }

  // The next complete line without LF or CR LF, or nothing yet.
  std::optional<std::string> next();

  // The bytes that next() has not returned.
  const std::string& rest() const { return bytes_; }

  // The incomplete line exceeds the limit: close the connection.
  bool too_long() const;

 private:
  std::size_t limit_;
  std::string bytes_;
  std::size_t scanned_ = 0;  // no newline before this offset
};

}  // namespace liveswap::protocol
