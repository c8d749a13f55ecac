#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace liveswap::load {

// The start of a body and a hash of the whole, so that memory is constant.
struct Body {
  static constexpr std::size_t kept = 1024;

  std::string start;  // the first `kept` bytes
  std::uint64_t length = 0;
  std::uint64_t hash = 14695981039346656037U;  // 64-bit FNV-1a

  void append(std::string_view bytes);
  bool operator==(const Body&) const = default;
};

// A complete answer from a server.
struct Answer {
  int status = 0;
  std::string version;  // as stated by the server; empty: not stated
  Body body;
  bool close = false;  // the server will close the connection
};

enum class Reading {
  more,      // incomplete so far
  complete,  // answer() is complete
  bad,       // not a valid answer; see problem()
};

// Parses answers from a byte stream in pieces of any size. Reusable for further answers.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;

  // Starts to parse the answer to `request`.
  virtual void expect(std::string_view request) = 0;

  // Bytes after a complete answer make it bad, as no request belongs to them.
  virtual Reading feed(std::string_view bytes) = 0;

  // End of file: complete if that ends the answer, otherwise `more`: truncated.
  virtual Reading end() = 0;

  // The position in the answer, for error texts: "before any byte of the answer".
  virtual const char* place() const = 0;

  const Answer& answer() const { return answer_; }
  const std::string& problem() const { return problem_; }

 protected:
  Reading reject(std::string problem) {
    problem_ = std::move(problem);
    return Reading::bad;
  }

  Answer answer_;
  std::string problem_;
};

}  // namespace liveswap::load
