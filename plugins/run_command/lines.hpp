#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

// Bytes of a pipe as lines. Memory is bounded whatever is written: a line is kept up to its first
// `line_limit` bytes, and of the lines only the last ones.
class Lines {
 public:
  static constexpr std::size_t line_limit = 4096;  // a path has no more, nor has a line of the log
  static constexpr std::size_t kept_limit = 10;

  struct Line {
    std::string text;
    bool cut = false;
  };

  // `each` gets every line that is not blank, without its end.
  explicit Lines(std::function<void(const Line&)> each) : each_(std::move(each)) {}

  void append(std::string_view bytes);
  // What has no newline is a line, too.
  void finish();

  // The last lines that are not blank, oldest first.
  const std::deque<Line>& last() const { return last_; }

 private:
  void end_line();

  std::function<void(const Line&)> each_;
  Line line_;
  std::deque<Line> last_;
};

// Without the white space at both ends.
std::string_view trimmed(std::string_view text);
