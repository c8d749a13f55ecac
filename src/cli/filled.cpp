#include "cli/filled.hpp"

#include <algorithm>
#include <sstream>

#include "cli/shown.hpp"

namespace liveswap::cli {
namespace {

// The bytes of the first characters of a text, so that no character is cut in two.
std::size_t bytes_of(const std::string& text, std::size_t characters) {
  std::size_t end = 0;
  while (end < text.size()) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
    if (begins && characters-- == 0) break;
    ++end;
  }
  return end;
}

class Lines {
 public:
  explicit Lines(const Fill& fill)
      : fill_(fill),
        room_(fill.width == 0 ? std::string::npos
                              : std::max<std::size_t>(fill.width, fill.indent + 1) - fill.indent) {}

  void add(std::string word) {
    while (fill_.break_words && columns(word) > room_) {
      if (used_ > 0) begin_line();
      const auto end = bytes_of(word, room_);
      text_ += word.substr(0, end);
      word.erase(0, end);
      used_ = room_;
    }
    const std::size_t size = columns(word);
    if (size == 0) return;
    if (used_ > 0 && used_ + 1 + size > room_) begin_line();
    text_ += (used_ > 0 ? " " : "") + word;
    used_ += (used_ > 0 ? 1 : 0) + size;
  }

  std::string take() { return std::move(text_); }

 private:
  void begin_line() {
    text_ += "\n" + std::string(fill_.indent, ' ');
    used_ = 0;
  }

  Fill fill_;
  std::size_t room_;
  std::size_t used_ = 0;
  std::string text_;
};

}  // namespace

std::string filled(const std::string& text, const Fill& fill) {
  Lines lines(fill);
  std::istringstream words(text);
  for (std::string word; words >> word;) lines.add(std::move(word));
  return lines.take();
}

}  // namespace liveswap::cli
