#include "svg.hpp"

#include <fmt/format.h>

#include <array>

namespace page {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') result += "&amp;";
    else if (c == '<') result += "&lt;";
    else if (c == '>') result += "&gt;";
    else result += c;
  }
  return result;
}

const char* name_of(Anchor anchor) {
  switch (anchor) {
    case Anchor::start: return "start";
    case Anchor::middle: return "middle";
    case Anchor::end: return "end";
  }
  return "?";
}

}  // namespace

Svg::Svg(double width, double height, const std::string& title) {
  text_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      width, height, escaped(title));
  text(12, 22, title, Anchor::start, "font-size=\"15\" font-weight=\"bold\"");
}

void Svg::text(double x, double y, std::string_view text, Anchor anchor, std::string_view more) {
  text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\" {}>{}</text>\n", x, y,
                       name_of(anchor), dark, more, escaped(text));
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view colour, std::string_view more) {
  text_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" {}/>\n",
                       x1, y1, x2, y2, colour, more);
}

void Svg::box(double x, double y, double width, double height, std::string_view colour) {
  text_ += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>\n",
                       x, y, width, height, colour);
}

void Svg::dot(double x, double y, std::string_view colour) {
  text_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, y, colour);
}

void Svg::path(const std::string& points, std::string_view colour, bool dashed) {
  text_ += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{}/>\n", points,
                       colour, dashed ? " stroke-dasharray=\"6 4\"" : "");
}

std::string_view colour(std::size_t series) {
  // The palette of Okabe and Ito.
  static constexpr std::array<std::string_view, 7> palette = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
                                                              "#56b4e9", "#d55e00", "#999999"};
  return palette[series % palette.size()];
}

}  // namespace page
