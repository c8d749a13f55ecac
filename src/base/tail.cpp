#include "base/tail.hpp"

#include <fmt/format.h>

#include <vector>

namespace liveswap {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

bool continues(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// Size in bytes of the UTF-8 character at the start of the text; 0: invalid. Overlong forms and surrogates
// are invalid.
std::size_t character_size(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  const unsigned char second = byte_at(text, 1);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if (!continues(byte_at(text, i))) return 0;
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
  return overlong || beyond ? 0 : size;
}

// C0, DEL and C1 (in UTF-8: C2 80 to C2 9F).
bool is_control(std::string_view character) {
  const unsigned char first = byte_at(character, 0);
  return first < 0x20 || first == 0x7f || (first == 0xc2 && byte_at(character, 1) < 0xa0);
}

std::string shown(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  std::string result;
  while (!line.empty()) {
    const std::size_t size = character_size(line);
    const auto character = line.substr(0, std::max<std::size_t>(size, 1));
    if (size == 0) result += "\xef\xbf\xbd";
    else if (character == "\t") result += "    ";
    else if (is_control(character))
      result += fmt::format("\\x{:02x}", byte_at(character, character.size() - 1));
    else result += character;
    line.remove_prefix(character.size());
  }
  return result;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

// Cuts a long line at its beginning, at a character boundary.
std::string end_of(const std::string& line, std::size_t size) {
  std::size_t at = line.size() - size;
  while (at < line.size() && continues(byte_at(line, at))) ++at;
  return "..." + line.substr(at);
}

}  // namespace

// Keeps at least the last 2 * size_limit bytes, because text() leaves out blank lines.
void Tail::append(std::string_view bytes) {
  constexpr std::size_t most = 2 * size_limit;
  if (bytes.size() >= most) {
    kept_.clear();
    bytes.remove_prefix(bytes.size() - most);
    cut_ = true;
  }
  kept_ += bytes;
  if (kept_.size() <= 2 * most) return;
  kept_.erase(0, kept_.size() - most);
  cut_ = true;
}

void Tail::begin_line() {
  if (!kept_.empty() && kept_.back() != '\n') append("\n");
}

void Tail::append_line(std::string_view line) {
  begin_line();
  append(line);
  append("\n");
}

std::string Tail::text() const {
  std::vector<std::string> lines;  // newest first
  std::size_t size = 0;
  std::string_view rest = kept_;
  while (!rest.empty() && lines.size() < line_limit && size < size_limit) {
    const auto newline = rest.rfind('\n');
    const bool is_first = newline == std::string_view::npos;
    const auto line = is_first ? rest : rest.substr(newline + 1);
    rest = is_first ? std::string_view() : rest.substr(0, newline);
    if (is_blank(line)) continue;
    std::string text = shown(line);
    if (is_first && cut_) text = "..." + text;
    const std::size_t room = size_limit - size;
    if (text.size() > room && !lines.empty()) break;
    lines.push_back(text.size() > room ? end_of(text, room) : std::move(text));
    size += lines.back().size() + 1;
  }
  std::string result;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    result += (result.empty() ? "" : "\n") + *line;
  return result;
}

std::string with_output(const std::string& reason, std::string_view lines) {
  std::string more;
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    if (!line.empty() && reason.find(line) == std::string::npos) more += "\n    " + std::string(line);
  }
  return more.empty() ? reason : reason + "\nit wrote last:" + more;
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

}  // namespace liveswap
