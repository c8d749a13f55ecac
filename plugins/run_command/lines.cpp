#include "lines.hpp"

#include <algorithm>

void Lines::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    const auto room = std::min(part.size(), line_limit - line_.text.size());
    line_.text += part.substr(0, room);
    line_.cut |= room < part.size();
    if (end == std::string_view::npos) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void Lines::finish() {
  if (!line_.text.empty()) end_line();
}

void Lines::end_line() {
  if (!trimmed(line_.text).empty()) {
    each_(line_);
    last_.push_back(std::move(line_));
    if (last_.size() > kept_limit) last_.pop_front();
  }
  line_ = {};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}
