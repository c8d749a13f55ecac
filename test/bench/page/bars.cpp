#include <algorithm>
#include <cmath>

#include "plots.hpp"
#include "svg.hpp"
#include "table.hpp"

namespace page {
namespace {

// Pixels.
struct Sheet {
  static constexpr double left = 250, plot_width = 500, right = 90, top = 62, bottom = 40, bar = 11, gap = 10;
};

// Where a value is on the horizontal axis.
class Scale {
 public:
  explicit Scale(const Bars& bars) : logarithmic_(bars.logarithmic) {
    std::vector<double> values;
    for (const Series& series : bars.series)
      for (const auto& value : series.values)
        if (value && (!logarithmic_ || *value > 0)) values.push_back(*value);
    if (bars.mark) values.push_back(*bars.mark);
    if (values.empty()) values.push_back(1);
    high_ = *std::max_element(values.begin(), values.end());
    low_ = *std::min_element(values.begin(), values.end());
    if (!logarithmic_) {
      low_ = 0;
      step_ = std::pow(10, std::floor(std::log10(std::max(high_, 1e-9))));
      if (high_ / step_ < 2) step_ /= 5;
      else if (high_ / step_ < 5) step_ /= 2;
      high_ = std::ceil(high_ / step_) * step_;
    } else {
      low_ = std::pow(10, std::floor(std::log10(low_) - 0.01));
      high_ = std::max(std::pow(10, std::ceil(std::log10(high_))), low_ * 10);
    }
  }

  double x(double value) const {
    const double part = !logarithmic_   ? value / high_
                        : value <= low_ ? 0
                                        : std::log10(value / low_) / std::log10(high_ / low_);
    return Sheet::left + std::clamp(part, 0.0, 1.0) * Sheet::plot_width;
  }

  std::vector<double> ticks() const {
    std::vector<double> found;
    if (logarithmic_)
      for (double at = low_; at <= high_ * 1.01; at *= 10) found.push_back(at);
    else
      for (double at = 0; at <= high_ * 1.01; at += step_) found.push_back(at);
    return found;
  }

 private:
  bool logarithmic_;
  double low_ = 0, high_ = 1, step_ = 1;
};

void add_axis(Svg& svg, const Scale& scale, const Bars& bars, double height) {
  for (const double tick : scale.ticks()) {
    svg.line(scale.x(tick), Sheet::top - 6, scale.x(tick), height - Sheet::bottom, grey);
    svg.text(scale.x(tick), height - Sheet::bottom + 16, shown_on_axis(tick), Anchor::middle);
  }
  svg.text(Sheet::left + Sheet::plot_width / 2, height - 6, bars.unit, Anchor::middle);
  double x = Sheet::left;
  for (std::size_t i = 0; bars.series.size() > 1 && i < bars.series.size(); ++i) {
    svg.box(x, 36, 12, 12, colour(i));
    svg.text(x + 17, 46, bars.series[i].name);
    x += 30 + 7.0 * static_cast<double>(bars.series[i].name.size());
  }
}

}  // namespace

std::string svg_of(const Bars& bars) {
  const double row_height = Sheet::bar * static_cast<double>(bars.series.size()) + Sheet::gap;
  const double height = Sheet::top + row_height * static_cast<double>(bars.rows.size()) + Sheet::bottom;
  Svg svg(Sheet::left + Sheet::plot_width + Sheet::right, height, bars.title);
  const Scale scale(bars);
  add_axis(svg, scale, bars, height);
  for (std::size_t row = 0; row < bars.rows.size(); ++row) {
    double y = Sheet::top + row_height * static_cast<double>(row);
    svg.text(Sheet::left - 10, y + (row_height - Sheet::gap) / 2 + 4, bars.rows[row], Anchor::end);
    for (std::size_t i = 0; i < bars.series.size(); ++i, y += Sheet::bar) {
      const auto& value = bars.series[i].values[row];
      const double end = value ? scale.x(*value) : Sheet::left;
      if (value) svg.box(Sheet::left, y, std::max(end - Sheet::left, 1.0), Sheet::bar - 1, colour(i));
      svg.text(end + 5, y + Sheet::bar - 2, shown(value), Anchor::start, "font-size=\"10\"");
    }
  }
  if (bars.mark)
    svg.line(scale.x(*bars.mark), Sheet::top - 6, scale.x(*bars.mark), height - Sheet::bottom, dark,
             "stroke-dasharray=\"4 3\"");
  return svg.finish();
}

}  // namespace page
