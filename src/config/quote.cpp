#include "config/quote.hpp"

#include <fmt/format.h>

namespace liveswap::config {
namespace {

constexpr std::size_t shown_limit = 80;

// The length to show, cut at a UTF-8 character boundary.
std::size_t cut_at(std::string_view text) {
  std::size_t end = shown_limit;
  while (end > shown_limit - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return end;
}

}  // namespace

std::string in_quotes(std::string_view text) {
  const bool cut = text.size() > shown_limit;
  std::string shown = "\"";
  for (const char c : cut ? text.substr(0, cut_at(text)) : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) shown += fmt::format("\\x{:02x}", byte);
    else shown += c;
  }
  return shown + (cut ? "…\"" : "\"");
}

}  // namespace liveswap::config
