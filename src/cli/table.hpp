#pragma once

#include <string>
#include <vector>

namespace liveswap::cli {

// Formats rows as lines of columns. Cells are cut at 200 columns; `gap` blanks between columns; no blanks at
// the end of lines. `sides`: a letter for each column: "l" left-aligned, "r" right-aligned. Each row has one
// cell for each column.
std::vector<std::string> lines_of_table(std::vector<std::vector<std::string>> rows, const std::string& sides,
                                        std::size_t gap = 2);

// The same as one text with newlines.
std::string lay_out(const std::vector<std::vector<std::string>>& rows, const std::string& sides);

}  // namespace liveswap::cli
