#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace liveswap {

// The last lines of a process's output, in bounded memory.
class Tail {
 public:
  static constexpr std::size_t line_limit = 20;
  static constexpr std::size_t size_limit = 2048;

  void append(std::string_view bytes);
  // Call when the next bytes come from another stream: they start a new line.
  void begin_line();
  // Appends a line from another source, as a line of its own.
  void append_line(std::string_view line);

  // The last lines without blank ones: at most `line_limit` lines and `size_limit` bytes, no newline at the
  // end. Safe for a terminal and for JSON: control characters become \xNN, a tab spaces, invalid UTF-8
  // U+FFFD. A line without its beginning starts with "...".
  std::string text() const;

 private:
  std::string kept_;
  bool cut_ = false;
};

// The reason, then, indented, the lines of Tail::text() that the reason does not contain.
std::string with_output(const std::string& reason, std::string_view lines);

// The text up to the first line break.
std::string first_line(std::string_view text);

}  // namespace liveswap
