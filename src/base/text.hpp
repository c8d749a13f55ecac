#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

// Short texts for people, and numbers in texts.
namespace liveswap {

// Both texts with "; " between them; if one is empty, the other.
inline std::string joined(const std::string& text, const std::string& more) {
  return text.empty() || more.empty() ? text + more : text + "; " + more;
}

// The first digits of a release id.
inline std::string short_id(const std::string& id) { return id.substr(0, 12); }

// "1 worker", "2 workers".
template <class Number>
std::string plural(Number count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

// The decimal number that is the whole text; nullopt: the text is something else, or the number does not fit.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace liveswap
