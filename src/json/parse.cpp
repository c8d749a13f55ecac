#include "json/parse.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace liveswap::json {
namespace {

struct Size {
  std::size_t levels = 0, values = 1;
};

// Counts levels and values. Exact for valid JSON; for invalid JSON, at least those of the valid beginning,
// which the parser would build before it fails.
Size size_of(std::string_view text) {
  Size size;
  std::size_t level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      size.levels = std::max(size.levels, ++level);
      ++size.values;
    } else if (c == ']' || c == '}') {
      level -= level > 0 ? 1 : 0;
    } else if (c == ',') {
      ++size.values;
    }
  }
  return size;
}

}  // namespace

Result<Json> parse(std::string_view text, const Bounds& bounds) {
  const auto invalid = fail("not valid JSON, expected an object");
  const Size size = size_of(text);
  const bool bounded = size.levels <= bounds.levels && size.values <= bounds.values;
  // accept() builds no values and does not recurse.
  if (!bounded && !Json::accept(text)) return invalid;
  if (size.levels > bounds.levels)
    return fail(fmt::format("nested {} levels deep, expected at most {}", size.levels, bounds.levels));
  if (size.values > bounds.values)
    return fail(fmt::format("made of {} values, expected at most {}", size.values, bounds.values));
  auto value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return invalid;
  return value;
}

Result<Json> parse(std::string_view text) { return parse(text, Bounds{}); }

Json parse_or_null(std::string_view text) { return parse(text).value_or(Json()); }

}  // namespace liveswap::json
