#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "load/answer.hpp"
#include "load/dialer.hpp"
#include "load/outcome.hpp"

namespace liveswap::load {

// A connection with at most one request.
//
// States: connecting until the kernel reports success; sending until the kernel has the whole request;
// reading until the answer is complete; idle, from which start() leads back to sending. After a failure, the
// owner destroys the object, which closes the connection.
class Connection {
 public:
  enum class Stage {
    connecting,  // wants to write
    sending,     // wants to write
    reading,     // wants to read
    idle,        // no request; readable: the server closes, or misbehaves
  };

  enum class Step { pending, answered, failed };
  enum class Idle { quiet, closed, reset, garbage };

  // `ends_after_request`: shut down the sending side after the request.
  Connection(Dialed dialed, std::unique_ptr<AnswerReader> reader, bool ends_after_request = false);

  // Starts a request on a new or idle connection; sends and reads as much as possible without blocking.
  Step start(std::string request);

  // Continues after epoll reported the descriptor.
  Step advance();

  // What the server has done to the idle connection.
  Idle look_while_idle() const;

  int fd() const { return fd_.get(); }
  Stage stage() const { return stage_; }
  bool wants_write() const { return stage_ == Stage::connecting || stage_ == Stage::sending; }
  // The local TCP port, which identifies the connection to others. Read early, as the kernel forgets the port
  // after a reset. 0: not TCP, or already reset.
  std::uint16_t port() const { return port_; }
  const Answer& answer() const { return reader_->answer(); }
  const Verdict& failure() const { return failure_; }

  // The reason text for a time-out in the current state.
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
