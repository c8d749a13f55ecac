#pragma once

#include <cstddef>
#include <string>

namespace liveswap::cli {

// How a text is broken into lines.
struct Fill {
  std::size_t width = 0;   // columns of a line; 0: everything on one line
  std::size_t indent = 0;  // blanks before each line but the first; at least one column is left beside them
  bool break_words =
      false;  // a word that is longer than a line: broken there (a terminal would do it), or left whole
};

// Shown text, broken between words. The caller has already written `indent` columns of the first line. Blanks
// between words count as one; no line ends with a blank or a newline.
std::string filled(const std::string& text, const Fill& fill);

}  // namespace liveswap::cli
