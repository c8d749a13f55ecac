#include "cli/table.hpp"

#include <algorithm>

#include "cli/printable.hpp"

namespace liveswap::cli {
namespace {

// Limit of the column width: one long text from an untrusted document would pad every line to its length.
constexpr std::size_t widest_cell = 200;

}  // namespace

std::vector<std::string> lines_of_table(std::vector<std::vector<std::string>> rows, const std::string& sides,
                                        std::size_t gap) {
  std::vector<std::size_t> widths(sides.size());
  for (auto& row : rows)
    for (std::size_t i = 0; i < sides.size(); ++i) {
      row[i] = cut(row[i], widest_cell);
      widths[i] = std::max(widths[i], columns(row[i]));
    }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < sides.size(); ++i) {
      const std::string padding(widths[i] - columns(row[i]), ' ');
      line += std::string(i > 0 ? gap : 0, ' ') + (sides[i] == 'r' ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string lay_out(const std::vector<std::vector<std::string>>& rows, const std::string& sides) {
  std::string text;
  for (const auto& line : lines_of_table(rows, sides)) text += line + "\n";
  return text;
}

}  // namespace liveswap::cli
