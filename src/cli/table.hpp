#pragma once

#include <string>
#include <vector>

namespace liveswap::cli {

// Rows of cells, each cut at 200 columns, and each column as wide as its widest cell; `gap` blanks between
// them; a line a row, without blanks at its end. `sides`: a letter for each column, "r" where cells stand on
// the right, "l" on the left. Every row has as many cells as that.
std::vector<std::string> lines_of_table(std::vector<std::vector<std::string>> rows, const std::string& sides,
                                        std::size_t gap = 2);

// The same as one text, each line with its newline.
std::string lay_out(const std::vector<std::vector<std::string>>& rows, const std::string& sides);

}  // namespace liveswap::cli
