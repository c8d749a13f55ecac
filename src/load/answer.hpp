#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace liveswap::load {

// What is kept of a body: its start, and a fingerprint of the whole, so that a body of any size costs the
// same.
struct Body {
  static constexpr std::size_t kept = 1024;

  std::string start;  // the first `kept` bytes
  std::uint64_t length = 0;
  std::uint64_t hash = 14695981039346656037U;  // 64-bit FNV-1a

  void append(std::string_view bytes);
  bool operator==(const Body&) const = default;
};

// One complete answer of a server.
struct Answer {
  int status = 0;
  std::string version;  // as the server stated it; empty when it did not
  Body body;
  bool close = false;  // the server will close the connection after this answer
};

enum class Reading {
  more,      // what came so far is the start of an answer
  complete,  // answer() is whole
  bad,       // this is no answer in the protocol, problem() says why
};

// Takes one answer from a stream of bytes, whatever the pieces it comes in. Used for one answer after the
// other.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;

  // Expects the answer to `request` from now on.
  virtual void expect(std::string_view request) = 0;

  // Bytes after the complete answer make it bad: nobody asked for them.
  virtual Reading feed(std::string_view bytes) = 0;

  // The stream has ended: complete when that is how the answer ends, else `more`: it is truncated.
  virtual Reading end() = 0;

  // Where the reader is, for the reason of a failure: "before any byte of the answer".
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
