#include "clients.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/unique_fd.hpp"

namespace nth {
namespace {

// Longer than an answer takes on a busy machine: a later answer counts as lost.
constexpr int answer_limit_s = 20;
constexpr int pause_ms = 4;

std::string failed(const char* what) { return std::string(what) + ": " + ::strerrordesc_np(errno); }

}  // namespace

Clients::~Clients() {
  ending_ = true;
  thread_.join();
}

void Clients::pause() { asking_.lock(); }
void Clients::go_on() { asking_.unlock(); }

std::map<std::string, unsigned> Clients::take_lost() {
  const std::lock_guard guard(lock_);
  return std::exchange(lost_, {});
}

void Clients::run() {
  while (!ending_) {
    if (asking_.try_lock()) {
      const std::string why = ask();
      asking_.unlock();
      if (why.empty()) ++answered_;
      const std::lock_guard guard(lock_);
      if (!why.empty()) ++lost_[why];
    }
    ::poll(nullptr, 0, pause_ms);
  }
}

std::string Clients::ask() const {
  const auto fd = liveswap::UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{answer_limit_s, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return failed("connect");
  constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return failed("send");
  std::string answer;
  char bytes[4096];
  while (answer.find("\r\n\r\nv") == std::string::npos || answer.back() != '\n') {
    const ssize_t size = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (size < 0) return failed("receive");
    if (size == 0) return "the connection was closed before the answer";
    answer.append(bytes, static_cast<std::size_t>(size));
  }
  return answer.starts_with("HTTP/1.1 200") ? "" : "an answer that is none";
}

}  // namespace nth
