#pragma once

#include <cstddef>
#include <string>

namespace liveswap::cli {

// Options of wrapped().
struct Wrap {
  std::size_t width = 0;     // columns; 0: no wrapping
  std::size_t indent = 0;    // blanks before each line but the first; at least one column remains for text
  bool break_words = false;  // break words longer than a line
};

// Word-wraps printable text. The caller has already written `indent` columns of the first line. Collapses
// blanks; no blank or newline at the end of a line.
std::string wrapped(const std::string& text, const Wrap& wrap);

}  // namespace liveswap::cli
