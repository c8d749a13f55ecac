#include "protocol/line_buffer.hpp"

#include <algorithm>

namespace liveswap::protocol {

std::optional<std::string> LineBuffer::next() {
  // A long line arrives in many pieces; each byte is scanned once.
  const std::size_t end = bytes_.find('\n', scanned_);
  scanned_ = std::min(end, bytes_.size());
  if (end == std::string::npos || end >= limit_) return std::nullopt;
  scanned_ = 0;
  std::string line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

bool LineBuffer::too_long() const {
  const std::size_t end = bytes_.find('\n', scanned_);
  return end == std::string::npos ? bytes_.size() >= limit_ : end >= limit_;
}

}  // namespace liveswap::protocol
