#include "table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "results.hpp"

namespace page {

constexpr std::size_t widest = 110;

Table::Table(std::vector<std::string> heads) {
  add(heads);
  text_ += "|";
  for (std::size_t i = 0; i < heads.size(); ++i) text_ += "---|";
  text_ += "\n";
}

void Table::add(const std::vector<std::string>& cells) {
  text_ += fmt::format("| {} |\n", fmt::join(cells, " | "));
}

std::string shown(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return "–";
  const double size = std::fabs(*value);
  const int digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.095 || size == 0 ? 2 : 3;
  std::string text = fmt::format("{:.{}f}", *value, digits);
  // Groups of thousands.
  if (digits == 0)
    for (int at = static_cast<int>(text.size()) - 3; at > (text[0] == '-' ? 1 : 0); at -= 3)
      text.insert(static_cast<std::size_t>(at), 1, ',');
  const bool is_zero = text.find_first_not_of("-0.") == std::string::npos;
  return is_zero ? std::string(1, '0') : text;
}

std::string shown_on_axis(double value) { return fmt::format("{:g}", value); }

std::string with_range(const std::vector<double>& values) {
  if (values.size() < 2) return shown(median(values));
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{} ({} to {})", shown(median(values)), shown(*low), shown(*high));
}

std::string paragraph(const std::string& text) {
  std::istringstream words(text);
  std::string result, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > widest) {
      result += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return result + line + "\n\n";
}

}  // namespace page
