#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace page {

struct Series {
  std::string name;
  std::vector<std::optional<double>> values;  // one for each row; nothing: no bar
};

// Horizontal bars: a row for each program, a bar for each series.
struct Bars {
  std::string title;
  std::string unit;
  std::vector<std::string> rows;
  std::vector<Series> series;
  bool logarithmic = false;
  std::optional<double> mark;  // a vertical line at this value
};

std::string svg_of(const Bars& bars);

struct Line {
  std::string name;
  std::vector<std::pair<double, double>> points;
  std::size_t colour = 0;
  bool dashed = false;
};

// Lines over N; both axes are logarithmic.
struct Lines {
  std::string title;
  std::string x_title, y_title;
  std::vector<Line> lines;
};

std::string svg_of(const Lines& lines);

}  // namespace page
