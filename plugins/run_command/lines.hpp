#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

// Splits the output of a pipe into lines. Bounded memory: keeps the first `line_limit` bytes of a line, and
// the last `kept_limit` lines.
class Lines {
 public:
  static constexpr std::size_t line_limit = 4096;  // as of a path and of a log line
  static constexpr std::size_t kept_limit = 10;

  struct Line {
    std::string text;
    bool cut = false;
  };

  // `each` receives every non-blank line, without the newline.
  explicit Lines(std::function<void(const Line&)> each) : each_(std::move(each)) {}

  void append(std::string_view bytes);
  // Counts the rest without a newline as a line.
  void finish();

  // The last non-blank lines, oldest first.
  const std::deque<Line>& last() const { return last_; }

 private:
  void end_line();

  std::function<void(const Line&)> each_;
  Line line_;
  std::deque<Line> last_;
};

// Removes white space at both ends.
std::string_view trimmed(std::string_view text);
