#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace liveswap::cli {

// Where a bar can be drawn.
class Terminal {
 public:
  // stderr, when it is a terminal that understands a carriage return and "erase to the end of the line".
  static bool available();

  std::size_t width() const;
  bool colour() const;

  // Replaces the line that was drawn last.
  void draw(std::string_view line);
  void clear();

  // Keeps the line that was drawn last.
  void next_line();
};

// What a page on stdout may look like.
struct Screen {
  std::size_t width = 100;
  bool colour = false;
  bool terminal = false;
  std::size_t height = 24;
};

// As large as the terminal on stdout; `otherwise` columns without colours when it is none, so that pipes get
// the same everywhere.
Screen screen(std::size_t otherwise = 100);
bool on_terminal();  // stdout
// stdout is a terminal that can be written over.
bool draws_in_place();

// To stdout as it is; to stderr as a message, made fit for a terminal. What cannot be written is lost.
void print(std::string_view text);
void complain(std::string_view text);
// What complain() writes.
std::string complaint(std::string_view text);
// To stderr as it is.
void print_aside(std::string_view text);

}  // namespace liveswap::cli
