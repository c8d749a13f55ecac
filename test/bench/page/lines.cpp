#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plots.hpp"
#include "svg.hpp"
#include "table.hpp"

namespace page {
namespace {

// Pixels.
struct Square {
  static constexpr double left = 70, right = 250, top = 44, bottom = 52, plot_width = 480, plot_height = 320;
};

// A logarithmic axis over whole powers of ten.
struct Axis {
  explicit Axis(const std::vector<double>& values) {
    if (values.empty()) return;
    low = std::floor(std::log10(*std::min_element(values.begin(), values.end())));
    high = std::max(std::ceil(std::log10(*std::max_element(values.begin(), values.end()))), low + 1);
  }
  double part(double value) const { return (std::log10(value) - low) / (high - low); }
  double low = 0, high = 1;  // exponents
};

struct Plane {
  Axis x_axis, y_axis;
  double x(double value) const { return Square::left + x_axis.part(value) * Square::plot_width; }
  double y(double value) const { return Square::top + (1 - y_axis.part(value)) * Square::plot_height; }
};

Plane plane_of(const Lines& lines) {
  std::vector<double> xs, ys;
  for (const Line& line : lines.lines)
    for (const auto& [x, y] : line.points) {
      xs.push_back(x);
      ys.push_back(y);
    }
  return {Axis(xs), Axis(ys)};
}

void add_axes(Svg& svg, const Plane& plane, const Lines& lines) {
  for (double at = plane.x_axis.low; at <= plane.x_axis.high; ++at) {
    const double x = plane.x(std::pow(10, at));
    svg.line(x, Square::top, x, Square::top + Square::plot_height, grey);
    svg.text(x, Square::top + Square::plot_height + 16, shown_on_axis(std::pow(10, at)), Anchor::middle);
  }
  for (double at = plane.y_axis.low; at <= plane.y_axis.high; ++at) {
    const double y = plane.y(std::pow(10, at));
    svg.line(Square::left, y, Square::left + Square::plot_width, y, grey);
    svg.text(Square::left - 6, y + 4, shown_on_axis(std::pow(10, at)), Anchor::end);
  }
  svg.text(Square::left + Square::plot_width / 2, Square::top + Square::plot_height + 38, lines.x_title,
           Anchor::middle);
  svg.text(Square::left, Square::top - 8, lines.y_title);
}

// The names stand at the right ends, apart from each other.
void add_names(Svg& svg, const Plane& plane, const Lines& lines) {
  std::vector<std::pair<double, std::size_t>> ends;
  for (std::size_t i = 0; i < lines.lines.size(); ++i)
    if (!lines.lines[i].points.empty()) ends.emplace_back(plane.y(lines.lines[i].points.back().second), i);
  std::sort(ends.begin(), ends.end());
  double last = 0;
  for (const auto& [y, i] : ends) {
    last = std::max(y + 4, last + 15);
    svg.text(Square::left + Square::plot_width + 8, last, lines.lines[i].name, Anchor::start,
             fmt::format("style=\"fill:{}\"", colour(lines.lines[i].colour)));
  }
}

}  // namespace

std::string svg_of(const Lines& lines) {
  Svg svg(Square::left + Square::plot_width + Square::right,
          Square::top + Square::plot_height + Square::bottom, lines.title);
  const Plane plane = plane_of(lines);
  add_axes(svg, plane, lines);
  for (std::size_t i = 0; i < lines.lines.size(); ++i) {
    std::string points;
    for (const auto& [x, y] : lines.lines[i].points) {
      points += fmt::format("{:.1f},{:.1f} ", plane.x(x), plane.y(y));
      svg.dot(plane.x(x), plane.y(y), colour(lines.lines[i].colour));
    }
    svg.path(points, colour(lines.lines[i].colour), lines.lines[i].dashed);
  }
  add_names(svg, plane, lines);
  return svg.finish();
}

}  // namespace page
