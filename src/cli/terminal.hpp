#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace liveswap::cli {

// A line on stderr that is overwritten in place.
class Terminal {
 public:
  // Whether stderr is a terminal that supports carriage return and "erase to end of line".
  static bool available();

  std::size_t width() const;
  bool colour() const;

  // Overwrites the line.
  void draw(std::string_view line);
  void clear();

  // Keeps the line and starts a new one.
  void next_line();
};

// Size and abilities of stdout.
struct Screen {
  std::size_t width = 100;
  bool colour = false;
  bool terminal = false;
  std::size_t height = 24;
};

// The properties of the terminal on stdout. Without a terminal: `otherwise` columns and no colours, so that
// piped output is the same everywhere.
Screen screen(std::size_t otherwise = 100);
bool on_terminal();  // stdout
// Whether stdout is a terminal with cursor control.
bool draws_in_place();

// print(): to stdout, unchanged. complain(): to stderr, as a printable error message. Ignore write errors.
void print(std::string_view text);
void complain(std::string_view text);
// The text that complain() writes.
std::string complaint(std::string_view text);
// To stderr, unchanged.
void print_to_stderr(std::string_view text);

}  // namespace liveswap::cli
