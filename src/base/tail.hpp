#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace liveswap {

// The end of what a process writes, in bounded memory.
class Tail {
 public:
  static constexpr std::size_t line_limit = 20;
  static constexpr std::size_t size_limit = 2048;

  void append(std::string_view bytes);
  // What follows begins a line: it is of another stream.
  void begin_line();
  // A line that comes another way; it begins on a line of its own.
  void append_line(std::string_view line);

  // The last lines, at most `line_limit` of them and `size_limit` bytes, without a newline at the end; blank
  // lines are left out. Fit for a terminal and for JSON: control characters as \xNN, a tab as spaces, what is
  // no UTF-8 as U+FFFD. Where a line lost its beginning it begins with "...".
  std::string text() const;

 private:
  std::string kept_;
  bool cut_ = false;
};

// A reason, and below it, indented, what the process wrote last: lines of Tail::text() that the reason does
// not contain already. The reason stays the first line.
std::string with_output(const std::string& reason, std::string_view lines);

// Up to the first line break.
std::string first_line(std::string_view text);

}  // namespace liveswap
