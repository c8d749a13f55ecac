#include "cli/printable.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace liveswap::cli {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

bool is_continuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Size in bytes of the UTF-8 character at the start of the text; 1 for an invalid byte.
std::size_t character_length(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1;
  if (first > 0xf4) return 1;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(byte_at(text, i))) return 1;
  return length;
}

bool is_c1(std::string_view character) {
  return character.size() == 2 && byte_at(character, 0) == 0xc2 && byte_at(character, 1) < 0xa0;
}

bool is_control(std::string_view character) {
  const unsigned char first = byte_at(character, 0);
  return is_c1(character) || (character.size() == 1 && (first < 0x20 || first >= 0x7f));
}

template <class Show>
std::string replace_controls(std::string_view text, Show show) {
  std::string result;
  while (!text.empty()) {
    const auto character = text.substr(0, character_length(text));
    result += is_control(character) ? show(character) : std::string(character);
    text.remove_prefix(character.size());
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text, bool lines) {
  return replace_controls(text, [&](std::string_view character) {
    if (lines && character == "\n") return std::string(character);
    return fmt::format("\\x{:02x}", byte_at(character, character.size() - 1));
  });
}

std::string printable_json(std::string_view line) {
  return replace_controls(line, [](std::string_view character) {
    return fmt::format("\\u{:04x}", byte_at(character, character.size() - 1));
  });
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return !is_continuation(static_cast<unsigned char>(c)); }));
}

std::string cut(const std::string& text, std::size_t width) {
  if (width == 0 || columns(text) <= width) return text;
  const std::string dots(std::min<std::size_t>(width, 3), '.');
  std::size_t end = 0;
  for (std::size_t room = width - dots.size(); end < text.size(); ++end)
    if (!is_continuation(byte_at(text, end)) && room-- == 0) break;
  return text.substr(0, end) + dots;
}

}  // namespace liveswap::cli
