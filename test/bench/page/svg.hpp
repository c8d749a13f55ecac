#pragma once

#include <string>
#include <string_view>

namespace page {

enum class Anchor { start, middle, end };

// An SVG picture on a white ground. Coordinates are pixels from the upper left corner.
class Svg {
 public:
  Svg(double width, double height, const std::string& title);

  void text(double x, double y, std::string_view text, Anchor anchor = Anchor::start,
            std::string_view more = "");
  void line(double x1, double y1, double x2, double y2, std::string_view colour, std::string_view more = "");
  void box(double x, double y, double width, double height, std::string_view colour);
  void dot(double x, double y, std::string_view colour);
  // `points`: "x,y x,y …"
  void path(const std::string& points, std::string_view colour, bool dashed);
  std::string finish() const { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

// Colours of series, distinguishable by the colour-blind.
std::string_view colour(std::size_t series);

inline constexpr std::string_view grey = "#d0d0d0";
inline constexpr std::string_view dark = "#333333";

}  // namespace page
