#include "load/connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>

namespace liveswap::load {

Connection::Connection(Dialed dialed, std::unique_ptr<AnswerReader> reader, bool ends_after_request)
    : fd_(std::move(dialed.fd)),
      reader_(std::move(reader)),
      ends_after_request_(ends_after_request),
      stage_(dialed.connected ? Stage::idle : Stage::connecting),
      port_(local_port(fd_.get())) {}

Connection::Step Connection::start(std::string request) {
  reader_->expect(request);
  request_ = std::move(request);
  sent_ = 0;
  ++requests_;
  if (stage_ == Stage::connecting) return Step::pending;
  if (requests_ == 1) return finish_connecting();
  stage_ = Stage::sending;
  return send_request();
}

Connection::Step Connection::advance() {
  switch (stage_) {
    case Stage::connecting: return finish_connecting();
    case Stage::sending: return send_request();
    case Stage::reading: return read_answer();
    case Stage::idle: return Step::pending;
  }
  return Step::pending;
}

Connection::Step Connection::finish_connecting() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail_with_errno("connect", error);
  if (is_connected_to_itself(fd_.get()))
    return fail(load::failure(Outcome::refused, "connect: connected to itself, no listener"));
  stage_ = Stage::sending;
  return send_request();
}

Connection::Step Connection::send_request() {
  while (sent_ < request_.size()) {
    const ssize_t n = ::send(fd_.get(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return Step::pending;
    if (n < 0) {
      // A complete answer may have arrived before the reset. Keeps the error, as recv() will not report it
      // again.
      send_error_ = errno;
      stage_ = Stage::reading;
      return read_answer();
    }
    sent_ += static_cast<std::size_t>(n);
  }
  // A reset by the server shows when reading.
  if (ends_after_request_) ::shutdown(fd_.get(), SHUT_WR);
  stage_ = Stage::reading;
  return Step::pending;
}

Connection::Step Connection::read_answer() {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && send_error_ == 0) return Step::pending;
    if (n < 0) return fail_with_errno(send_error_ ? "send" : "read", send_error_ ? send_error_ : errno);
    if (n == 0) return after_end();
    const Step step = take(reader_->feed({buffer, static_cast<std::size_t>(n)}));
    if (step != Step::pending) return step;
    // A short read has emptied the socket.
    if (static_cast<std::size_t>(n) < sizeof buffer && send_error_ == 0) return Step::pending;
  }
}

Connection::Step Connection::after_end() {
  const Reading reading = reader_->end();
  if (reading != Reading::more) return take(reading);
  if (send_error_) return fail_with_errno("send", send_error_);
  return fail(
      load::failure(Outcome::truncated, fmt::format("end of file {}{}", reader_->place(), reused(""))));
}

Connection::Step Connection::take(Reading reading) {
  switch (reading) {
    case Reading::more: return Step::pending;
    case Reading::complete: stage_ = Stage::idle; return Step::answered;
    case Reading::bad: return fail(load::failure(Outcome::wrong, reader_->problem()));
  }
  return Step::pending;
}

Connection::Idle Connection::look_while_idle() const {
  char byte = 0;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Idle::garbage;
  if (n == 0) return Idle::closed;
  return errno == EAGAIN || errno == EINTR ? Idle::quiet : Idle::reset;
}

std::string Connection::waiting_for() const {
  switch (stage_) {
    case Stage::connecting: return "while connecting";
    case Stage::sending: return reused("while sending");
    case Stage::reading: return reused(reader_->place());
    case Stage::idle: break;
  }
  return "idle";
}

Connection::Step Connection::fail(Verdict verdict) {
  failure_ = std::move(verdict);
  return Step::failed;
}

Connection::Step Connection::fail_with_errno(const char* operation, int number) {
  Verdict verdict = failure_of_errno(operation, number);
  verdict.reason += reused("");
  return fail(std::move(verdict));
}

std::string Connection::reused(const char* text) const {
  return fmt::format("{}{}", text, requests_ > 1 ? " (reused connection)" : "");
}

}  // namespace liveswap::load
