#pragma once

#include "load/answer.hpp"

namespace liveswap::load {

// Answers of an echo server: the request line. `prefixed`: the server may add its version and a space: "v2
// hello". Counts as status 200.
class EchoReader : public AnswerReader {
 public:
  explicit EchoReader(bool prefixed = false) : prefixed_(prefixed) {}

  void expect(std::string_view request) override;
  Reading feed(std::string_view bytes) override;
  Reading end() override { return Reading::more; }
  const char* place() const override;

 private:
  static constexpr std::size_t longest_prefix = 64;

  bool prefixed_;
  std::string expected_;
  std::string line_;
};

}  // namespace liveswap::load
