#include "protocol/line_buffer.hpp"

namespace liveswap::protocol {

std::optional<std::string> LineBuffer::next() {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos || end >= limit_) return std::nullopt;
  std::string line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

bool LineBuffer::too_long() const {
  const std::size_t end = bytes_.find('\n');
  return end == std::string::npos ? bytes_.size() >= limit_ : end >= limit_;
}

}  // namespace liveswap::protocol
