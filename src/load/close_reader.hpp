#pragma once

#include "load/answer.hpp"

namespace liveswap::load {

// For servers of any protocol: the client connects, ends its side at once, and the server's end of file is
// the answer. It comes only from a worker that has accepted the connection, so the kernel's accept queue
// alone answers nothing. What the server says before is not looked at. Counts as status 200.
class CloseReader : public AnswerReader {
 public:
  void expect(std::string_view) override {
    answer_ = {};
    answer_.status = 200;
    answer_.close = true;
  }
  Reading feed(std::string_view) override { return Reading::more; }
  Reading end() override { return Reading::complete; }
  const char* place() const override { return "before the server closed, too"; }
};

}  // namespace liveswap::load
