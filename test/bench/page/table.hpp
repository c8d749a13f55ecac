#pragma once

#include <optional>
#include <string>
#include <vector>

namespace page {

// A table in Markdown.
class Table {
 public:
  explicit Table(std::vector<std::string> heads);
  void add(const std::vector<std::string>& cells);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// With three significant digits and no exponent; "–" for nothing.
std::string shown(std::optional<double> value);

// A value of an axis, without zeros at the end.
std::string shown_on_axis(double value);

// "median (lowest to highest)"; the median alone if there is one value.
std::string with_range(const std::vector<double>& values);

// A paragraph, broken into lines of at most 110 characters.
std::string paragraph(const std::string& text);

}  // namespace page
