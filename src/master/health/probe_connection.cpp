#include "master/health/probe_connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace liveswap::master {
namespace {

constexpr std::size_t status_line = sizeof "HTTP/1.1 200" - 1;
constexpr std::size_t answer_limit = 64 * 1024;
// The status has arrived; the rest is read for a moment, so that the application sees no reset.
constexpr Milliseconds rest_of_answer{20};
// A full queue of a Unix socket cannot be polled.
constexpr Milliseconds retry{10};

std::string request_for(const config::HealthProbe& probe, const std::string& address) {
  if (probe.kind != config::HealthProbe::Kind::get) return {};
  const std::string host = address.starts_with("unix:") ? "localhost" : address;
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: liveswap-health\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      probe.path, host);
}

unsigned status_of(const std::string& head) {
  if (head.size() < status_line || head.compare(0, 7, "HTTP/1.") != 0 || head[8] != ' ') return 0;
  unsigned status = 0;
  for (const char c : head.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  return status;
}

}  // namespace

ProbeConnection::ProbeConnection(uv_loop_t& loop, const config::HealthProbe& probe,
                                 const SocketAddress& where, const std::string& address, Milliseconds limit,
                                 Done done)
    : Probe(std::move(done)),
      loop_(loop),
      probe_(probe),
      where_(where),
      limit_time_(limit),
      request_(request_for(probe, address)),
      begin_(loop),
      limit_(loop) {
  begin_.start(Milliseconds(0), [this] { connect(); });
  limit_.start(limit, [this] {
    if (head_.size() == status_line) return judge();
    finish(fmt::format("no {} within {} ms", connected_ ? "answer" : "connection", limit_time_.count()));
  });
}

ProbeConnection::ProbeConnection(uv_loop_t& loop, const config::HealthProbe& probe, UniqueFd connection,
                                 const std::string& address, Done done)
    : Probe(std::move(done)),
      loop_(loop),
      probe_(probe),
      request_(request_for(probe, address)),
      fd_(std::move(connection)),
      begin_(loop),
      limit_(loop) {
  begin_.start(Milliseconds(0), [this] { watch(); });
}

void ProbeConnection::connect() {
  poll_.reset();
  fd_ = UniqueFd::adopt(::socket(where_.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return finish(os_error("make", "a socket", errno).text);
  if (::connect(fd_.get(), where_.get(), where_.length) != 0 && errno != EINPROGRESS) {
    if (errno == EAGAIN) return begin_.start(retry, [this] { connect(); });
    return finish(fmt::format("cannot connect: {}", error_text(errno)));
  }
  watch();
}

void ProbeConnection::watch() {
  poll_.emplace(loop_, fd_.get());
  if (!poll_->usable()) return finish("cannot watch a socket");
  poll_->start(UV_WRITABLE, [this](int) { on_event(); });
}

void ProbeConnection::on_event() {
  if (!connected_) {
    if (const int why = socket_option(fd_.get(), SOL_SOCKET, SO_ERROR); why != 0)
      return finish(fmt::format("cannot connect: {}", error_text(why)));
    connected_ = true;
    if (request_.empty()) return finish("");
  }
  if (!request_.empty()) {
    if (!send_request()) return finish(fmt::format("cannot send the request: {}", error_text(errno)));
    if (request_.empty()) poll_->watch(UV_READABLE);
    return;
  }
  receive();
}

bool ProbeConnection::send_request() {
  const ssize_t sent = ::send(fd_.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  request_.erase(0, static_cast<std::size_t>(sent));
  return true;
}

void ProbeConnection::receive() {
  char buffer[4096];
  const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0 && head_.size() < status_line)
    return finish(fmt::format("cannot receive an answer: {}", error_text(errno)));
  if (size > 0) {
    const bool judged_before = head_.size() == status_line;
    head_.append(buffer, std::min(static_cast<std::size_t>(size), status_line - head_.size()));
    received_ += static_cast<std::size_t>(size);
    if (head_.size() == status_line && !judged_before) limit_.start(rest_of_answer, [this] { judge(); });
  }
  if (size <= 0 || received_ > answer_limit) judge();
}

void ProbeConnection::judge() {
  const unsigned status = status_of(head_);
  if (status == 0)
    return finish(received_ == 0 ? "the connection was closed without an answer"
                                 : "the answer is not HTTP/1");
  if (status >= probe_.lowest_status && status <= probe_.highest_status) return finish("");
  const auto expected = probe_.lowest_status == probe_.highest_status
                            ? std::to_string(probe_.lowest_status)
                            : fmt::format("{} to {}", probe_.lowest_status, probe_.highest_status);
  finish(fmt::format("found status {}, expected {}", status, expected));
}

}  // namespace liveswap::master
