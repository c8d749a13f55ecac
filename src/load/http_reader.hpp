#pragma once

#include <optional>

#include "load/answer.hpp"
#include "load/chunked_body.hpp"

namespace liveswap::load {

// A strict parser of answers to HTTP/1.x GET requests: at most 16 KiB of headers, CRLF line ends,
// Content-Length or chunks. Rejects interim (1xx) answers.
class HttpReader : public AnswerReader {
 public:
  static constexpr std::size_t most_header_bytes = 16 * 1024;

  // Without both, a truncated answer is not detectable: rejected unless `allow_eof_body`, where end
  // of file ends the body.
  explicit HttpReader(bool allow_eof_body = false) : allow_eof_body_(allow_eof_body) {}

  void expect(std::string_view request) override;
  Reading feed(std::string_view bytes) override;
  Reading end() override;
  const char* place() const override;

 private:
  enum class Stage { head, body, chunks, body_until_eof, done };

  Reading feed_head(std::string_view& bytes);
  Reading parse_head();
  Reading parse_status_line(std::string_view line);
  Reading parse_header(std::string_view line);
  Reading enter_header(const std::string& name, std::string_view value);
  Reading start_body();
  Reading feed_body(std::string_view bytes);
  Reading feed_chunks(std::string_view bytes);

  bool allow_eof_body_;
  Stage stage_ = Stage::head;
  std::string head_;
  std::optional<std::uint64_t> length_;
  std::optional<ChunkedBody> chunks_;
};

}  // namespace liveswap::load
