#include "verify/held_request.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

#include "load/close_reader.hpp"
#include "load/dialer.hpp"
#include "load/http_reader.hpp"
#include "load/target.hpp"

namespace liveswap::verify {
namespace {

constexpr int limit_ms = 5000;

Result<void> wait_for(int fd, short events, const char* what) {
  pollfd polled{fd, events, 0};
  if (::poll(&polled, 1, limit_ms) == 1) return {};
  return fail(fmt::format("{} took more than {} s", what, limit_ms / 1000));
}

Result<void> send_all(int fd, const std::string& text) {
  const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(text.size())) return {};
  return os_fail("send", "the request", sent < 0 ? errno : EMSGSIZE);
}

}  // namespace

HeldRequest::HeldRequest(UniqueFd fd, bool connect)
    : fd_(std::move(fd)), connect_(connect), port_(load::local_port(fd_.get())) {}

Result<HeldRequest> HeldRequest::begin(const std::string& address, bool connect, const std::string& path) {
  const auto target = load::parse_target("http://" + address + path, "", false);
  if (!target) return tl::unexpected<Error>(target.error());
  load::Dialed dialed = load::Dialer(*target, 0).dial();
  if (dialed.error != 0) return os_fail("connect to", address, dialed.error);
  if (auto there = wait_for(dialed.fd.get(), POLLOUT, "connecting"); !there)
    return tl::unexpected<Error>(there.error());
  HeldRequest held(std::move(dialed.fd), connect);
  if (!connect)
    if (auto sent = send_all(held.fd_.get(), fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n", path, address));
        !sent)
      return tl::unexpected<Error>(sent.error());
  return held;
}

Result<void> HeldRequest::finish() {
  if (connect_) ::shutdown(fd_.get(), SHUT_WR);
  else if (auto sent = send_all(fd_.get(), "Connection: close\r\n\r\n"); !sent) return sent;
  return read_answer();
}

Result<void> HeldRequest::read_answer() {
  std::unique_ptr<load::AnswerReader> reader;
  if (connect_) reader = std::make_unique<load::CloseReader>();
  else reader = std::make_unique<load::HttpReader>(false);
  reader->expect("GET");
  for (;;) {
    if (auto came = wait_for(fd_.get(), POLLIN, "the answer"); !came) return came;
    char bytes[16 * 1024];
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n < 0) return os_fail("read", "the answer", errno);
    const auto reading = n > 0 ? reader->feed({bytes, static_cast<std::size_t>(n)}) : reader->end();
    if (reading == load::Reading::complete) {
      // A worker that waits for the client to close must not wait for this one.
      fd_.reset();
      return {};
    }
    if (reading == load::Reading::bad) return fail("the answer is no HTTP: " + reader->problem());
    if (n == 0) return fail(fmt::format("the server closed the connection {}", reader->place()));
  }
}

}  // namespace liveswap::verify
