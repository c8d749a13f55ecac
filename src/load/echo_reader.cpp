#include "load/echo_reader.hpp"

#include <algorithm>

namespace liveswap::load {

void EchoReader::expect(std::string_view request) {
  expected_ = request;
  line_.clear();
  answer_ = {};
  answer_.status = 200;
  answer_.version = "echo";
  problem_.clear();
}

Reading EchoReader::feed(std::string_view bytes) {
  const std::size_t longest = expected_.size() + (prefixed_ ? longest_prefix : 0);
  if (line_.size() + bytes.size() > longest) return reject("more than the line that was sent");
  line_ += bytes;
  const std::size_t newline = line_.find('\n');
  if (newline == std::string::npos) return Reading::more;
  if (newline + 1 != line_.size()) return reject("bytes after the answer");
  if (!line_.ends_with(expected_)) return reject("not the line that was sent");
  const std::string prefix = line_.substr(0, line_.size() - expected_.size());
  if (prefix.empty()) return prefixed_ ? reject("no version before the line") : Reading::complete;
  answer_.version = prefix.substr(0, prefix.size() - 1);
  const bool shown =
      std::all_of(answer_.version.begin(), answer_.version.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!shown || answer_.version.empty() || !prefix.ends_with(' '))
    return reject("no version before the line");
  return Reading::complete;
}

const char* EchoReader::place() const {
  return line_.empty() ? "before any byte of the answer" : "within the answer";
}

}  // namespace liveswap::load
