#include "cli/wrapped.hpp"

#include <algorithm>
#include <sstream>

#include "cli/printable.hpp"

namespace liveswap::cli {
namespace {

// Size in bytes of the first `characters` characters of UTF-8 text.
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
  explicit Lines(const Wrap& wrap)
      : wrap_(wrap),
        room_(wrap.width == 0 ? std::string::npos
                              : std::max<std::size_t>(wrap.width, wrap.indent + 1) - wrap.indent) {}

  void add(std::string word) {
    while (wrap_.break_words && columns(word) > room_) {
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
    text_ += "\n" + std::string(wrap_.indent, ' ');
    used_ = 0;
  }

  Wrap wrap_;
  std::size_t room_;
  std::size_t used_ = 0;
  std::string text_;
};

}  // namespace

std::string wrapped(const std::string& text, const Wrap& wrap) {
  Lines lines(wrap);
  std::istringstream words(text);
  for (std::string word; words >> word;) lines.add(std::move(word));
  return lines.take();
}

}  // namespace liveswap::cli
