#include "master/state/archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace liveswap::master::state {
namespace {

// Descriptors beyond this number: more than the kernel allows by default (fs.nr_open).
constexpr int most_fd = 1 << 20;

bool is_plain(char c) { return c >= 0x20 && c < 0x7f; }

}  // namespace

void put_text(const std::string& text, std::string& into) {
  if (!std::all_of(text.begin(), text.end(), is_plain)) {
    into += "{\"hex\":\"";
    for (const char c : text)
      fmt::format_to(std::back_inserter(into), "{:02x}", static_cast<unsigned char>(c));
    into += "\"}";
    return;
  }
  into += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') into += '\\';
    into += c;
  }
  into += '"';
}

std::string get_text(const Json& found) {
  if (found.is_string()) return found.get<std::string>();
  const auto digits = json::text(found, "hex");
  if (!digits || digits->size() % 2 != 0) throw Wrong("found no text where one is expected");
  std::string text;
  for (std::size_t i = 0; i < digits->size(); i += 2) {
    unsigned byte = 0;
    const char* end = digits->data() + i + 2;
    if (std::from_chars(digits->data() + i, end, byte, 16).ptr != end)
      throw Wrong("found a text that is not in hexadecimal digits");
    text += static_cast<char>(byte);
  }
  return text;
}

bool Reader::get_bool(const Json& found) {
  if (!found.is_boolean()) throw Wrong("found neither true nor false");
  return found.get<bool>();
}

int Reader::get_fd(const Json& found) {
  const int number = get_number<int>(found, -1, most_fd);
  if (number >= 0 && !fds_.insert(number).second)
    throw Wrong("descriptor " + std::to_string(number) + " is named twice");
  return number;
}

}  // namespace liveswap::master::state
