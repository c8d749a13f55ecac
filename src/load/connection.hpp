#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "load/answer.hpp"
#include "load/dialer.hpp"
#include "load/outcome.hpp"

namespace liveswap::load {

// One connection and the request that is on it.
//
// It is connecting until the system says that it is connected, then sending while the request is not yet with
// the kernel, then reading until the answer is complete; then it is idle, and start() makes it sending again.
// A failure ends it: the owner closes it by destroying it.
class Connection {
 public:
  enum class Stage {
    connecting,  // wants to write
    sending,     // wants to write
    reading,     // wants to read
    idle,        // no request: whatever can be read is the server's wish to close, or a fault of it
  };

  enum class Step { pending, answered, failed };
  enum class Idle { quiet, closed, reset, garbage };

  // With `ends_after_request` the request is followed by an end of file.
  Connection(Dialed dialed, std::unique_ptr<AnswerReader> reader, bool ends_after_request = false);

  // Puts a request on a connection that is new or idle, and goes as far as it can without blocking.
  Step start(std::string request);

  // The descriptor is ready: goes on.
  Step advance();

  // Whether the server has done something to the connection while it was idle.
  Idle look_while_idle() const;

  int fd() const { return fd_.get(); }
  Stage stage() const { return stage_; }
  bool wants_write() const { return stage_ == Stage::connecting || stage_ == Stage::sending; }
  // The local TCP port, by which others can tell whose connection this is; 0 of one that is no TCP
  // connection, or that was reset before the kernel could be asked. connect() chooses it; the kernel forgets
  // it with a reset.
  std::uint16_t port() const { return port_; }
  const Answer& answer() const { return reader_->answer(); }
  const Verdict& failure() const { return failure_; }

  // The reason of a time-out now.
  std::string waiting_for() const;

 private:
  Step finish_connecting();
  Step send_request();
  Step read_answer();
  Step after_end();
  Step take(Reading reading);
  Step fail(Verdict verdict);
  Step fail_with_errno(const char* operation, int number);
  std::string reused(const char* text) const;

  UniqueFd fd_;
  std::unique_ptr<AnswerReader> reader_;
  bool ends_after_request_;
  Stage stage_;
  std::uint16_t port_ = 0;
  std::string request_;
  std::size_t sent_ = 0;
  int send_error_ = 0;
  unsigned requests_ = 0;
  Verdict failure_;
};

}  // namespace liveswap::load
