#include "json/fields.hpp"

#include <limits>

namespace liveswap::json {
namespace {

constexpr std::int64_t largest = std::int64_t{1} << 53;

}  // namespace

const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto it = object.find(name);
  return it == object.end() ? nothing : *it;
}

const Json& list(const Json& object, const char* name) {
  static const Json nothing = Json::array();
  const Json& found = member(object, name);
  return found.is_array() ? found : nothing;
}

std::optional<std::string> text(const Json& object, const char* name) {
  const Json& found = member(object, name);
  return found.is_string() ? std::optional(found.get<std::string>()) : std::nullopt;
}

std::string text_or_empty(const Json& object, const char* name) { return text(object, name).value_or(""); }

std::optional<std::int64_t> number(const Json& object, const char* name) {
  return number(object, name, -largest, largest);
}

// get() would make an unsigned number above 2^63 negative.
std::optional<std::int64_t> number(const Json& object, const char* name, std::int64_t least,
                                   std::int64_t most) {
  const Json& found = member(object, name);
  if (!found.is_number_integer()) return std::nullopt;
  if (found.is_number_unsigned() && found.get<std::uint64_t>() > static_cast<std::uint64_t>(largest))
    return std::nullopt;
  const auto value = found.get<std::int64_t>();
  return value >= least && value <= most ? std::optional(value) : std::nullopt;
}

bool is_true(const Json& object, const char* name) { return member(object, name) == Json(true); }

std::int64_t add(std::int64_t sum, std::int64_t more) {
  using Limits = std::numeric_limits<std::int64_t>;
  std::int64_t result = 0;
  if (!__builtin_add_overflow(sum, more, &result)) return result;
  return more > 0 ? Limits::max() : Limits::min();
}

}  // namespace liveswap::json
