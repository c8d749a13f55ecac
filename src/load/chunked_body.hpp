#pragma once

#include "load/answer.hpp"

namespace liveswap::load {

// A strict parser of a body in chunks (RFC 9112, 7.1). Lines have at most 1 KiB.
class ChunkedBody {
 public:
  // Appends to `body`, and consumes bytes up to the end of the body: then `complete`. `bad`: see problem().
  Reading feed(std::string_view& bytes, Body& body);
  const char* problem() const { return problem_; }

 private:
  enum class Part { size, data, data_end, trailer };

  // Whether line_ is whole.
  bool take_line(std::string_view& bytes);
  Reading end_line();
  Reading take_size();
  Reading reject(const char* problem);

  Part part_ = Part::size;
  std::string line_;
  std::uint64_t left_ = 0;  // of the chunk
  const char* problem_ = "";
};

}  // namespace liveswap::load
