#include "load/http_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace liveswap::load {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool has_token(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (trimmed(list.substr(0, comma)) == wanted) return true;
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return false;
}

bool is_version(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

void HttpReader::expect(std::string_view) {
  stage_ = Stage::head;
  head_.clear();
  length_.reset();
  chunks_.reset();
  answer_ = {};
  problem_.clear();
}

Reading HttpReader::feed(std::string_view bytes) {
  if (stage_ == Stage::head) {
    const Reading head = feed_head(bytes);
    if (head != Reading::complete) return head;
  }
  return feed_body(bytes);
}

// Consumes header bytes; complete at the empty line. Rejects an invalid answer at its first wrong byte
// instead of waiting for more.
Reading HttpReader::feed_head(std::string_view& bytes) {
  static constexpr std::string_view protocol = "HTTP/1.";
  while (!bytes.empty()) {
    const char c = bytes.front();
    bytes.remove_prefix(1);
    if (head_.size() == most_header_bytes) return reject("headers of more than 16 KiB");
    if (head_.size() < protocol.size() && c != protocol[head_.size()])
      return reject("not an HTTP/1.x answer");
    const bool after_cr = head_.ends_with('\r');
    if ((c == '\n') != after_cr) return reject("a line of the headers does not end in CRLF");
    if (static_cast<unsigned char>(c) < ' ' && c != '\r' && c != '\n' && c != '\t')
      return reject("a control character in the headers");
    head_ += c;
    if (c == '\n' && head_.ends_with("\r\n\r\n")) return parse_head();
  }
  return Reading::more;
}

Reading HttpReader::parse_head() {
  std::string_view rest(head_);
  rest.remove_suffix(2);
  bool first = true;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    const Reading parsed = first ? parse_status_line(line) : parse_header(line);
    if (parsed == Reading::bad) return parsed;
    first = false;
    rest.remove_prefix(end + 2);
  }
  return start_body();
}

Reading HttpReader::parse_status_line(std::string_view line) {
  constexpr std::size_t code = 9;  // after "HTTP/1.x "
  if (line.size() < code + 3 || (line[7] != '0' && line[7] != '1') || line[8] != ' ' ||
      !std::all_of(line.begin() + code, line.begin() + code + 3, is_digit) ||
      (line.size() > code + 3 && line[code + 3] != ' '))
    return reject("a malformed status line");
  std::from_chars(line.data() + code, line.data() + code + 3, answer_.status);
  if (answer_.status < 200) return reject(fmt::format("status {}, which is no final answer", answer_.status));
  answer_.close = line[7] == '0';
  return Reading::complete;
}

Reading HttpReader::parse_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return reject("a malformed header");
  return enter_header(lowered(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
}

Reading HttpReader::enter_header(const std::string& name, std::string_view value) {
  if (name == "content-length") {
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
    if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size() ||
        (length_ && *length_ != length))
      return reject("a malformed Content-Length");
    length_ = length;
  } else if (name == "transfer-encoding") {
    if (lowered(value) != "chunked" || chunks_)
      return reject("a Transfer-Encoding other than chunked, which is not supported");
    chunks_.emplace();
  } else if (name == "connection") {
    const std::string options = lowered(value);
    if (has_token(options, "close")) answer_.close = true;
    else if (has_token(options, "keep-alive")) answer_.close = false;
  } else if (name == "x-version") {
    if (!is_version(value) || !answer_.version.empty()) return reject("a malformed or second X-Version");
    answer_.version = value;
  }
  return Reading::complete;
}

Reading HttpReader::start_body() {
  stage_ = Stage::body;
  if (answer_.status == 204 || answer_.status == 304) {
    length_ = 0;
  } else if (chunks_) {
    if (length_) return reject("both Content-Length and Transfer-Encoding");
    stage_ = Stage::chunks;
  } else if (!length_) {
    if (!allow_eof_body_) return reject("neither Content-Length nor chunks");
    answer_.close = true;
    stage_ = Stage::body_until_eof;
  }
  return Reading::complete;
}

Reading HttpReader::feed_chunks(std::string_view bytes) {
  const Reading reading = chunks_->feed(bytes, answer_.body);
  if (reading == Reading::bad) return reject(chunks_->problem());
  if (reading == Reading::more) return reading;
  if (!bytes.empty()) return reject("bytes after the answer");
  stage_ = Stage::done;
  return reading;
}

Reading HttpReader::feed_body(std::string_view bytes) {
  if (stage_ == Stage::done) return bytes.empty() ? Reading::complete : reject("bytes after the answer");
  if (stage_ == Stage::chunks) return feed_chunks(bytes);
  if (stage_ == Stage::body_until_eof) {
    answer_.body.append(bytes);
    return Reading::more;
  }
  const std::uint64_t missing = *length_ - answer_.body.length;
  if (bytes.size() > missing) return reject("bytes after the answer");
  answer_.body.append(bytes);
  if (bytes.size() < missing) return Reading::more;
  stage_ = Stage::done;
  return Reading::complete;
}

Reading HttpReader::end() {
  if (stage_ != Stage::body_until_eof) return Reading::more;
  stage_ = Stage::done;
  return Reading::complete;
}

const char* HttpReader::place() const {
  switch (stage_) {
    case Stage::head: return head_.empty() ? "before any byte of the answer" : "within the headers";
    case Stage::body:
    case Stage::chunks:
    case Stage::body_until_eof: return "within the body";
    case Stage::done: return "after the answer";
  }
  return "?";
}

}  // namespace liveswap::load
