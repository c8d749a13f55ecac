#pragma once

#include "load/answer.hpp"

namespace liveswap::load {

// For servers of any protocol: the client connects and shuts down its sending side; the server's end of file
// counts as an answer with status 200. Only a worker that has accepted the connection sends one, not the
// kernel's accept queue. Ignores data from the server.
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
