#include "load/chunked_body.hpp"

#include <algorithm>
#include <charconv>

namespace liveswap::load {
namespace {

constexpr std::size_t most_line_bytes = 1024;

}  // namespace

Reading ChunkedBody::reject(const char* problem) {
  problem_ = problem;
  return Reading::bad;
}

bool ChunkedBody::take_line(std::string_view& bytes) {
  while (!bytes.empty() && !line_.ends_with('\n') && line_.size() < most_line_bytes) {
    line_ += bytes.front();
    bytes.remove_prefix(1);
  }
  return line_.ends_with('\n') || line_.size() == most_line_bytes;
}

// "1f;extension\r\n"
Reading ChunkedBody::take_size() {
  const char* const end = line_.data() + line_.size() - 2;
  const auto parsed = std::from_chars(line_.data(), end, left_, 16);
  if (parsed.ec != std::errc{} || (parsed.ptr != end && *parsed.ptr != ';'))
    return reject("a malformed size of a chunk");
  part_ = left_ > 0 ? Part::data : Part::trailer;
  return Reading::more;
}

Reading ChunkedBody::end_line() {
  if (!line_.ends_with("\r\n")) return reject("a line between chunks does not end in CRLF");
  const bool is_empty = line_.size() == 2;
  Reading reading = Reading::more;
  if (part_ == Part::size) {
    reading = take_size();
  } else if (part_ == Part::trailer) {
    if (is_empty) reading = Reading::complete;
  } else if (is_empty) {
    part_ = Part::size;
  } else {
    reading = reject("a chunk is longer than its size");
  }
  line_.clear();
  return reading;
}

Reading ChunkedBody::feed(std::string_view& bytes, Body& body) {
  Reading reading = Reading::more;
  while (reading == Reading::more && !bytes.empty()) {
    if (part_ == Part::data) {
      const auto size = std::min<std::uint64_t>(left_, bytes.size());
      body.append(bytes.substr(0, size));
      bytes.remove_prefix(size);
      left_ -= size;
      if (left_ == 0) part_ = Part::data_end;
    } else if (take_line(bytes)) {
      reading = end_line();
    }
  }
  return reading;
}

}  // namespace liveswap::load
